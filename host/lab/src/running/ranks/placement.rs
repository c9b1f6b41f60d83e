//! Which of several processes this is, as torchrun and srun say it.

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// From 0.
    pub(super) rank: u32,
    /// How many there are.
    pub(super) size: u32,
    /// Where rank 0 is.
    pub(super) host: String,
    /// Where its lab listens.
    pub(super) port: u16,
}

/// Rank and number of all, by torchrun and by srun.
const NUMBERS: [(&str, &str); 3] =
    [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"), ("SLURM_PROCID", "SLURM_NTASKS")];

/// Set by torchrun where its own store listens at `MASTER_PORT`.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";

impl Placement {
    /// That of an environment's variables, or a sentence.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let both = NUMBERS.iter().find_map(|(rank, size)| Some(((*rank, variable(rank)?), (*size, variable(size)?))));
        let Some((rank, size)) = both else {
            return Err("--ranks: neither RANK and WORLD_SIZE nor SLURM_PROCID and SLURM_NTASKS are set: start it by `torchrun --no-python …` or `srun …`"
                .to_owned());
        };
        let (size_name, rank_name) = (size.0, rank.0);
        let size: u32 = number(size, "at least 1")?;
        let rank: u32 = number(rank, "a number from 0")?;
        if size == 0 || rank >= size {
            return Err(format!(
                "--ranks: {rank_name} is {rank} and {size_name} is {size}; expected a rank below the number of all"
            ));
        }
        let Some(host) = variable("MASTER_ADDR") else {
            return Err("--ranks: MASTER_ADDR is not set; expected the host of rank 0, by srun as \
                        `export MASTER_ADDR=$(scontrol show hostnames | head -n 1) MASTER_PORT=29500`"
                .to_owned());
        };
        let port: u16 = match variable("MASTER_PORT") {
            Some(port) => number(("MASTER_PORT", port), "a port of rank 0's host")?,
            None => {
                return Err(
                    "--ranks: MASTER_PORT is not set; expected a port of rank 0's host that is free, such as 29500"
                        .to_owned(),
                );
            }
        };
        let is_taken = variable(AGENT_STORE).is_some_and(|value| value == "True" || value == "1");
        let port = port.checked_add(u16::from(is_taken));
        let port =
            port.ok_or("--ranks: MASTER_PORT is 65535, and torchrun listens there itself; expected one below")?;
        Ok(Self { rank, size, host, port })
    }
}

fn number<T: std::str::FromStr>((name, value): (&str, String), expected: &str) -> Result<T, String> {
    let said = || format!("--ranks: {name} is \"{}\"; expected {expected}", crate::output::visible(&value));
    value.parse().map_err(|_| said())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_knows_its_place_by_the_environment() {
        let check = |variables: &[(&str, &str)], expected: Result<(u32, u32, u16), &str>| {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            match (Placement::of(variable), expected) {
                (Ok(found), Ok(expected)) => assert_eq!((found.rank, found.size, found.port), expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        };
        let at = [("MASTER_ADDR", "node1"), ("MASTER_PORT", "29500")];
        let with = |more: &[(&'static str, &'static str)]| [&at[..], more].concat();
        check(&with(&[("RANK", "2"), ("WORLD_SIZE", "8")]), Ok((2, 8, 29500)));
        // torchrun listens at MASTER_PORT itself.
        let by_torchrun = [("RANK", "0"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_USE_AGENT_STORE", "True")];
        check(&with(&by_torchrun), Ok((0, 2, 29501)));
        check(&with(&[("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2")]), Ok((1, 2, 29500)));
        // A step of fewer tasks than the job has.
        let of_step = [("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_NTASKS", "8")];
        check(&with(&of_step), Ok((1, 2, 29500)));
        check(&at, Err("neither RANK and WORLD_SIZE nor SLURM_PROCID and SLURM_NTASKS are set"));
        check(&with(&[("RANK", "2"), ("WORLD_SIZE", "2")]), Err("RANK is 2 and WORLD_SIZE is 2"));
        check(&with(&[("RANK", "x"), ("WORLD_SIZE", "2")]), Err("RANK is \"x\"; expected a number from 0"));
        check(&[("RANK", "0"), ("WORLD_SIZE", "2")], Err("MASTER_ADDR is not set"));
        check(&[("RANK", "0"), ("WORLD_SIZE", "2"), at[0]], Err("MASTER_PORT is not set"));
        let too_high = [("RANK", "0"), ("WORLD_SIZE", "2"), at[0], ("MASTER_PORT", "65535"), by_torchrun[2]];
        check(&too_high, Err("MASTER_PORT is 65535"));
    }
}
