//! Ranks of a group as threads of one process: what they send each other arrives, to the bit, and who is gone is missed.

use std::time::{Duration, Instant};

use slhf_torch_shim::{Meeting, ProcessGroup, Rank, ShimError};
use tch::{Kind, Tensor};

const HOST: &str = "127.0.0.1";
const SOON: Duration = Duration::from_secs(20);

/// What each rank makes of a group of `size`.
fn with_ranks<T: Send>(size: u32, work: impl Fn(&ProcessGroup) -> T + Sync) -> Vec<T> {
    let meeting = Meeting::serve(HOST, 0, SOON).expect("a free port");
    let (port, work) = (meeting.port(), &work);
    std::thread::scope(|scope| {
        let ranks: Vec<_> = (0..size)
            .map(|rank| {
                scope.spawn(move || {
                    let meeting = Meeting::find(HOST, port, SOON).expect("it is served");
                    let group = ProcessGroup::join(&meeting, HOST, Rank { rank, size }, SOON).expect("all come");
                    work(&group)
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().expect("no panic")).collect()
    })
}

#[test]
fn every_rank_has_what_every_rank_gave() {
    for size in [1, 2, 3] {
        let found = with_ranks(size, |group| {
            let own = Tensor::from_slice(&[1.0_f32 / 3.0, f32::MIN_POSITIVE, -0.0]) * f64::from(group.rank().rank + 1);
            let all = group.all_gather(&own, SOON).expect("all are there");
            all.iter().map(|one| Vec::<f32>::try_from(one).expect("f32")).collect::<Vec<_>>()
        });
        let expected: Vec<Vec<f32>> = (1..=size)
            .map(|number| [1.0_f32 / 3.0, f32::MIN_POSITIVE, -0.0].map(|value| value * number as f32).to_vec())
            .collect();
        let bits = |rows: &[Vec<f32>]| rows.iter().flatten().map(|value| value.to_bits()).collect::<Vec<_>>();
        for one in &found {
            assert_eq!(bits(one), bits(&expected), "{size} ranks");
        }
    }
}

/// To the bit at every rank, and again in the next group of that size.
#[test]
fn tensors_are_added_over_ranks() {
    let numbers: Vec<f32> = (0..100_003).map(|number| ((number * 37 % 1009) as f32).sin()).collect();
    for size in [1, 2, 3, 5] {
        let add = || {
            with_ranks(size, |group| {
                let mut own = Tensor::from_slice(&numbers) * f64::from(group.rank().rank + 1).sqrt();
                group.all_reduce(&mut own, SOON).expect("all are there");
                Vec::<f32>::try_from(&own).expect("f32").into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let first = add();
        let factor: f64 = (1..=size).map(|number| f64::from(number).sqrt()).sum();
        for (sum, number) in first[0].iter().zip(&numbers) {
            let expected = f64::from(*number) * factor;
            assert!((f64::from(f32::from_bits(*sum)) - expected).abs() < 1e-5, "{size} ranks");
        }
        for bits in first.iter().chain(&add()) {
            assert!(bits == &first[0], "{size} ranks");
        }
    }
}

#[test]
fn bytes_of_any_length_arrive() {
    let long = vec![7; 100_000];
    for bytes in [&b""[..], b"a", &long] {
        let sent = with_ranks(2, |group| {
            let own = (group.rank().rank == 1).then_some(bytes);
            group.broadcast_bytes(own, 1, SOON).expect("all are there")
        });
        assert_eq!(sent, [bytes, bytes]);
        let gathered = with_ranks(2, |group| {
            let own = if group.rank().rank == 0 { bytes } else { b"xy" };
            group.all_gather_bytes(own, SOON).expect("all are there")
        });
        for one in gathered {
            assert_eq!(one, [bytes, b"xy"]);
        }
    }
}

/// libtorch keeps one list of all groups of a process, without a lock: the shim has to.
#[test]
fn groups_of_one_process_do_not_disturb_each_other() {
    for _ in 0..24 {
        let sent = with_ranks(4, |group| {
            let own = (group.rank().rank == 0).then_some(&b"first"[..]);
            group.broadcast_bytes(own, 0, SOON).expect("all are there")
        });
        assert_eq!(sent, [b"first"; 4]);
    }
}

#[test]
fn a_rank_that_does_not_come_is_an_error_after_the_time_out() {
    let found = with_ranks(2, |group| {
        let began = Instant::now();
        if group.rank().rank == 1 {
            // It hangs, and then is gone.
            std::thread::sleep(Duration::from_secs(6));
            return (None, began.elapsed());
        }
        let mut tensor = Tensor::zeros([1], (Kind::Float, tch::Device::Cpu));
        (group.broadcast(&mut tensor, 1, Duration::from_millis(300)).err(), began.elapsed())
    });
    let (error, waited) = &found[0];
    assert!(matches!(error, Some(ShimError::Torch { doing: "send a tensor to all ranks", .. })), "{error:?}");
    assert!(*waited < Duration::from_secs(5), "{waited:?}: it waited until the other one was gone");
}

#[test]
fn a_rank_that_is_gone_is_an_error_at_once() {
    let found = with_ranks(2, |group| {
        if group.rank().rank == 1 {
            return None;
        }
        let began = Instant::now();
        let mut tensor = Tensor::zeros([1], (Kind::Float, tch::Device::Cpu));
        Some((group.broadcast(&mut tensor, 1, Duration::from_mins(10)), began.elapsed()))
    });
    let Some((Err(ShimError::Torch { .. }), waited)) = &found[0] else { panic!("{found:?}") };
    assert!(*waited < Duration::from_secs(20), "{waited:?}");
}

#[test]
fn a_meeting_that_nobody_serves_is_one_sentence() {
    let free = Meeting::serve(HOST, 0, SOON).expect("a free port").port();
    let error = Meeting::find(HOST, free, Duration::from_millis(200)).expect_err("nobody is there");
    assert!(error.to_string().starts_with("libtorch cannot find the meeting of ranks: "), "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
}

#[test]
fn a_meeting_is_served_at_its_own_address_alone() {
    let error = Meeting::serve("203.0.113.1", 0, SOON).expect_err("an address of nobody's").to_string();
    assert!(error.starts_with("libtorch cannot serve a meeting of ranks: 203.0.113.1:0: "), "{error}");
    let port = Meeting::serve(HOST, 0, SOON).map(|meeting| {
        let elsewhere = std::net::TcpStream::connect(("127.0.0.2", meeting.port()));
        (meeting.port(), elsewhere.is_ok())
    });
    assert!(matches!(port, Ok((1.., false))), "{port:?}: it listens on other addresses too");
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let found = with_ranks(1, |group| {
        let transposed = Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu)).tr();
        group.all_gather(&transposed, SOON).expect_err("not contiguous").to_string()
    });
    assert_eq!(
        found[0],
        "cannot gather a tensor of all ranks: tensor 0 of the call is not contiguous, expected a contiguous tensor"
    );
}
