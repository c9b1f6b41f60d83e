//! Adapters of any ranks and scales on any layers, as adapters of one rank and one scale on all layers.

use std::collections::BTreeMap;

use slhf_model::AdapterSettings;
use tch::{Device, Kind, TchError, Tensor};

use super::modules::Pair;
use crate::{LoraSettings, ModelConfig, Projection};

/// Settings, and the tensors by PEFT's names.
type Uniform = (LoraSettings, BTreeMap<String, Tensor>);

/// The settings and tensors that do the same; `None`: there are no pairs. Smaller ranks are filled up with
/// zeros, scales are put into B, and a layer without an adapter gets one of zeros. Where all are alike already, the tensors
/// are the file's.
pub(super) fn of(
    pairs: BTreeMap<(usize, Projection), Pair>,
    settings: &AdapterSettings,
    config: &ModelConfig,
) -> Result<Option<Uniform>, TchError> {
    let mut targets: Vec<Projection> = pairs.keys().map(|(_, projection)| *projection).collect();
    targets.sort_unstable();
    targets.dedup();
    let rank_of = |pair: &Pair| pair.a.size()[0];
    let Some(rank) = pairs.values().map(rank_of).max() else { return Ok(None) };
    let usual = LoraSettings {
        rank: u32::try_from(rank).unwrap_or(u32::MAX),
        alpha: settings.alpha,
        dropout: settings.dropout,
        targets,
    };
    let is_usual = |pair: &Pair| rank_of(pair) == rank && pair.scale == usual.scale();
    let all_alike = pairs.len() == config.layers * usual.targets.len() && pairs.values().all(is_usual);
    let lora = if all_alike { usual } else { LoraSettings { alpha: rank as f64, ..usual } };
    let mut tensors = BTreeMap::new();
    for layer in 0..config.layers {
        for &target in &lora.targets {
            let [outputs, inputs] = target.shape(config);
            let zeros = |shape: [i64; 2]| Tensor::f_zeros(shape, (Kind::Float, Device::Cpu));
            let (a, b) = match pairs.get(&(layer, target)) {
                None => (zeros([rank, inputs])?, zeros([outputs, rank])?),
                Some(pair) if all_alike => (pair.a.shallow_clone(), pair.b.shallow_clone()),
                Some(pair) => {
                    let missing = rank - rank_of(pair);
                    let a = Tensor::f_cat(&[pair.a.shallow_clone(), zeros([missing, inputs])?], 0)?;
                    let b = Tensor::f_cat(&[pair.b.f_mul_scalar(pair.scale)?, zeros([outputs, missing])?], 1)?;
                    (a, b)
                }
            };
            let prefix = format!("base_model.model.{}", target.path(layer));
            tensors.insert(format!("{prefix}.lora_A.weight"), a);
            tensors.insert(format!("{prefix}.lora_B.weight"), b);
        }
    }
    Ok(Some((lora, tensors)))
}
