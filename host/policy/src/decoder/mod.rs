//! One decoder with switches for all families: grouped-query attention, biases of q, k and v, norms of q and k, tied
//! embeddings, stretched rotary positions, windows of attention, norms of what a block gives. Norms are computed in f32.
//!
//! The weights of q, k, v lie in one matrix, and those of gate and up: a token then costs fewer operators. Training
//! looks at the same storage through views.

mod branches;
mod linear;
mod norms;
mod operators;
mod output;
mod packed;
mod packed_layer;
mod plain;
mod rope;
mod step;

use slhf_torch_shim::PackedMatrix;
use tch::{Device, Kind, TchError, Tensor, no_grad};

pub(crate) use branches::{Branches, Tree};
use linear::{Linear, Weight};
pub(crate) use output::OutputMatrix;
use packed::PackedLinear;
pub(crate) use plain::{Adapters, Depth, PlainLayer, PlainModel};
use plain::{PackedWeights, PlainWeights};
pub(crate) use rope::{Ropes, rotate};
pub(crate) use step::{Sight, StepInput};

use crate::PolicyError;
use crate::Projection;
use crate::parameters::{Agent, Parameters, Training};
use slhf_model::ModelConfig;

/// One layer.
#[derive(Debug)]
pub(crate) struct Layer {
    attention_norm: Tensor,
    query_key_value: Linear,
    query_key_norms: Option<(Tensor, Tensor)>,
    output: Linear,
    feed_forward_norm: Tensor,
    gate_up: Linear,
    down: Linear,
    /// Of what the attention and the feed-forward network give, before it is added.
    output_norms: Option<(Tensor, Tensor)>,
}

/// Weights of a decoder on its device.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    pub(crate) head: OutputMatrix,
}

/// A projection's place in the fused matrices of its layer.
struct Slot {
    /// 0 q-k-v, 1 output, 2 gate-up, 3 down.
    matrix: usize,
    row: i64,
    rows: i64,
}

fn slot(projection: Projection, config: &ModelConfig) -> Slot {
    let rows_of = |projection: Projection| projection.shape(config)[0];
    let rows = rows_of(projection);
    let (matrix, row) = match projection {
        Projection::QProj => (0, 0),
        Projection::KProj => (0, rows_of(Projection::QProj)),
        Projection::VProj => (0, rows_of(Projection::QProj) + rows),
        Projection::OProj => (1, 0),
        Projection::GateProj => (2, 0),
        Projection::UpProj => (2, rows),
        Projection::DownProj => (3, 0),
    };
    Slot { matrix, row, rows }
}

impl Decoder {
    /// Takes every tensor of the configuration by its Hugging Face name.
    pub(crate) fn load(
        config: &ModelConfig,
        place: (Kind, Device),
        take: &mut dyn FnMut(&str) -> Result<Tensor, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let mut get = |name: &str| -> Result<Tensor, PolicyError> {
            let tensor = take(name)?;
            no_grad(|| tensor.f_to_device(place.1)?.f_to_kind(place.0)?.f_detach()?.f_contiguous())
                .map_err(PolicyError::torch(format!("put the tensor `{name}` on {:?}", place.1)))
        };
        let embedding = get("model.embed_tokens.weight")?;
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            layers.push(Layer::load(config, layer, &mut get)?);
        }
        let norm = norms::loaded(config, &get("model.norm.weight")?)?;
        let head = match config.head_tensor() {
            None => embedding.shallow_clone(),
            Some(name) => get(name)?,
        };
        Ok(Self { embedding, layers, norm, head: OutputMatrix::new(head) })
    }

    /// The model's own weights as training sees them: views, nothing is copied.
    pub(crate) fn plain(&self, config: &ModelConfig) -> Result<PlainModel, TchError> {
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            layers.push(layer.plain(config)?);
        }
        Ok(PlainModel {
            embedding: self.embedding.shallow_clone(),
            layers,
            norm: self.norm.shallow_clone(),
            head: self.head.shallow_clone(),
        })
    }

    /// What generates: the same weights where nothing is trained, and others where something is. In f32 adapters are
    /// merged (`W + scale · B A`); in bf16 they stay beside the weights, because a small change would vanish in the
    /// rounding of the sum.
    pub(crate) fn with_parameters(
        &self,
        config: &ModelConfig,
        parameters: &Parameters,
        agent: Agent,
    ) -> Result<Self, TchError> {
        match parameters.training() {
            Training::Full => self.replaced(config, parameters, agent),
            Training::Lora(settings) => {
                let adapters = Adapters::of(parameters, agent, settings, config)?;
                let mut layers = Vec::with_capacity(self.layers.len());
                for (index, layer) in self.layers.iter().enumerate() {
                    layers.push(layer.adapted(config, &adapters, index)?);
                }
                Ok(Self {
                    embedding: self.embedding.shallow_clone(),
                    layers,
                    norm: self.norm.shallow_clone(),
                    head: self.head.shallow_clone(),
                })
            }
        }
    }

    fn replaced(&self, config: &ModelConfig, parameters: &Parameters, agent: Agent) -> Result<Self, TchError> {
        let place = (self.embedding.kind(), self.embedding.device());
        let trained = PlainModel::trained(config, parameters, agent, place.0)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &trained.layers {
            layers.push(Layer::fuse(layer)?);
        }
        let PlainModel { embedding, norm, head, .. } = trained;
        let head = OutputMatrix::new(head.numbers.f_detach()?);
        Ok(Self { embedding: embedding.f_detach()?, layers, norm: norm.f_detach()?, head })
    }

    /// The same weights, not copied, under another head.
    pub(crate) fn beside(&self, head: Option<Tensor>) -> Self {
        Self {
            embedding: self.embedding.shallow_clone(),
            layers: self.layers.iter().map(Layer::shallow_clone).collect(),
            norm: self.norm.shallow_clone(),
            head: head.map_or_else(|| self.head.shallow_clone(), OutputMatrix::new),
        }
    }

    /// Whether embedding and layers lie at the same addresses; heads may differ.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        let addresses = |decoder: &Self| -> Vec<usize> {
            let of_layer = |layer: &Layer| layer.matrices().map(|linear| linear.weight.address());
            let layers = decoder.layers.iter().flat_map(of_layer);
            std::iter::once(decoder.embedding.data_ptr() as usize).chain(layers).collect()
        };
        addresses(self) == addresses(other)
    }

    /// Puts packed matrices in the place of those that were loaded; `take` gives them by their Hugging Face names. A layer is packed where
    /// all of its matrices are. Says whether anything is.
    pub(crate) fn pack(
        &mut self,
        config: &ModelConfig,
        take: &mut dyn FnMut(&str) -> Result<Option<PackedMatrix>, PolicyError>,
    ) -> Result<bool, PolicyError> {
        let mut is_any = false;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let mut matrix = |projections: &[Projection]| -> Result<Option<PackedLinear>, PolicyError> {
                let parts = projections.iter().map(|projection| take(&format!("{}.weight", projection.path(index))));
                Ok(parts.collect::<Result<Option<Vec<_>>, _>>()?.map(PackedLinear::new))
            };
            let joined = [
                matrix(&[Projection::QProj, Projection::KProj, Projection::VProj])?,
                matrix(&[Projection::OProj])?,
                matrix(&[Projection::GateProj, Projection::UpProj])?,
                matrix(&[Projection::DownProj])?,
            ];
            if let [Some(query_key_value), Some(output), Some(gate_up), Some(down)] = joined {
                layer.query_key_value.weight = Weight::Packed(query_key_value);
                layer.output.weight = Weight::Packed(output);
                layer.gate_up.weight = Weight::Packed(gate_up);
                layer.down.weight = Weight::Packed(down);
                is_any = true;
            }
        }
        // A reward model's head may be another one than the file's.
        if config.reward.is_none() {
            let head = take(config.head_tensor().unwrap_or("model.embed_tokens.weight"))?;
            is_any |= head.is_some();
            self.head = self.head.shallow_clone().packed(head);
        }
        Ok(is_any)
    }

    /// Whether every matrix is multiplied with as it is packed.
    pub(crate) fn is_packed(&self) -> bool {
        self.layers.iter().all(|layer| layer.packed().is_some()) && self.head.is_packed()
    }

    /// Memory of weights that a token goes through.
    pub(crate) fn bytes_of_a_step(&self) -> u64 {
        let layers = self.layers.iter().flat_map(Layer::matrices).map(|linear| linear.weight.bytes());
        layers.sum::<u64>() + self.head.bytes()
    }

    /// Numbers in the matrices that a token goes through, without the output matrix, and those of the output matrix.
    pub(crate) fn matrix_numbers(config: &ModelConfig) -> (f64, f64) {
        let layer: i64 =
            Projection::ALL.iter().map(|projection| projection.shape(config).iter().product::<i64>()).sum();
        ((layer as f64) * config.layers as f64, (config.head_rows() * config.hidden_size) as f64)
    }
}

impl Layer {
    fn load(
        config: &ModelConfig,
        index: usize,
        get: &mut dyn FnMut(&str) -> Result<Tensor, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let mut side_by_side = |projections: &[Projection], what: &str| -> Result<Tensor, PolicyError> {
            let mut parts = Vec::new();
            for projection in projections {
                parts.push(get(&format!("{}.{what}", projection.path(index)))?);
            }
            match parts.len() {
                1 => Ok(parts.remove(0)),
                _ => Tensor::f_cat(&parts, 0)
                    .map_err(PolicyError::torch(format!("join the {what}s of layer {index}'s projections"))),
            }
        };
        let queries_keys_values = [Projection::QProj, Projection::KProj, Projection::VProj];
        let query_key_value = side_by_side(&queries_keys_values, "weight")?;
        let bias = if config.attention_bias { Some(side_by_side(&queries_keys_values, "bias")?) } else { None };
        let output = side_by_side(&[Projection::OProj], "weight")?;
        let output_bias = if config.output_bias { Some(side_by_side(&[Projection::OProj], "bias")?) } else { None };
        let gate_up = side_by_side(&[Projection::GateProj, Projection::UpProj], "weight")?;
        let down = side_by_side(&[Projection::DownProj], "weight")?;
        let mut norm = |name: &str| norms::loaded(config, &get(&format!("model.layers.{index}.{name}.weight"))?);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            query_key_value: Linear::new(query_key_value, bias),
            query_key_norms: if config.query_key_norms {
                let (query, key) = (norm("self_attn.q_norm")?, norm("self_attn.k_norm")?);
                let scaled = norms::of_queries(config, &query);
                Some((scaled.map_err(PolicyError::torch(format!("scale the queries of layer {index}")))?, key))
            } else {
                None
            },
            output: Linear::new(output, output_bias),
            feed_forward_norm: norm(config.feed_forward_norm())?,
            output_norms: if config.has_output_norms() {
                Some((norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?))
            } else {
                None
            },
            gate_up: Linear::new(gate_up, None),
            down: Linear::new(down, None),
        })
    }

    /// Joins what was trained apart.
    fn fuse(layer: &PlainLayer) -> Result<Self, TchError> {
        let PlainWeights::Apart(weights) = &layer.weights else {
            return Err(TchError::Convert("packed weights are not trained".to_owned()));
        };
        let joined = |projections: &[Projection]| -> Result<Tensor, TchError> {
            let parts: Vec<&Tensor> = projections.iter().map(|&projection| &weights[projection as usize]).collect();
            Tensor::f_cat(&parts, 0)?.f_detach()
        };
        let single = |projection: Projection| weights[projection as usize].f_detach();
        let biases: Vec<&Tensor> = layer.biases[..3].iter().flatten().collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::f_cat(&biases, 0)?.f_detach()?) };
        Ok(Self {
            attention_norm: layer.attention_norm.f_detach()?,
            query_key_value: Linear::new(joined(&[Projection::QProj, Projection::KProj, Projection::VProj])?, bias),
            query_key_norms: norms::detached(layer.query_key_norms.as_ref())?,
            output_norms: norms::detached(layer.output_norms.as_ref())?,
            output: Linear::new(
                single(Projection::OProj)?,
                match &layer.biases[Projection::OProj as usize] {
                    Some(bias) => Some(bias.f_detach()?),
                    None => None,
                },
            ),
            feed_forward_norm: layer.feed_forward_norm.f_detach()?,
            gate_up: Linear::new(joined(&[Projection::GateProj, Projection::UpProj])?, None),
            down: Linear::new(single(Projection::DownProj)?, None),
        })
    }

    fn matrices(&self) -> [&Linear; 4] {
        [&self.query_key_value, &self.output, &self.gate_up, &self.down]
    }

    /// Where all of its matrices are packed.
    fn packed(&self) -> Option<PackedWeights> {
        let matrices = self.matrices();
        let [Some(query_key_value), Some(output), Some(gate_up), Some(down)] = matrices.map(Linear::packed) else {
            return None;
        };
        let packed = [query_key_value, output, gate_up, down].map(PackedLinear::shallow_clone);
        let biases = matrices.map(|linear| linear.bias.as_ref().map(Tensor::shallow_clone));
        Some(PackedWeights { matrices: packed, biases })
    }

    fn plain(&self, config: &ModelConfig) -> Result<PlainLayer, TchError> {
        let matrices = self.matrices();
        let mut biases = [const { None }; 4];
        for projection in &Projection::ALL[..biases.len()] {
            let slot = slot(*projection, config);
            if let Some(bias) = &matrices[slot.matrix].bias {
                biases[*projection as usize] = Some(bias.f_narrow(0, slot.row, slot.rows)?);
            }
        }
        let weights = if let Some(packed) = self.packed() {
            PlainWeights::Packed(Box::new(packed))
        } else {
            let mut apart = Vec::with_capacity(Projection::ALL.len());
            for projection in Projection::ALL {
                let slot = slot(projection, config);
                let (Weight::Plain(weight) | Weight::Beside(weight, ..)) = &matrices[slot.matrix].weight else {
                    return Err(TchError::Convert("a layer is packed in part".to_owned()));
                };
                apart.push(weight.f_narrow(0, slot.row, slot.rows)?);
            }
            PlainWeights::Apart(apart)
        };
        Ok(PlainLayer {
            attention_norm: self.attention_norm.shallow_clone(),
            weights,
            biases,
            query_key_norms: self.query_key_norms.as_ref().map(norms::both),
            output_norms: self.output_norms.as_ref().map(norms::both),
            feed_forward_norm: self.feed_forward_norm.shallow_clone(),
        })
    }

    fn shallow_clone(&self) -> Self {
        Self {
            attention_norm: self.attention_norm.shallow_clone(),
            query_key_value: self.query_key_value.shallow_clone(),
            query_key_norms: self.query_key_norms.as_ref().map(norms::both),
            output_norms: self.output_norms.as_ref().map(norms::both),
            output: self.output.shallow_clone(),
            feed_forward_norm: self.feed_forward_norm.shallow_clone(),
            gate_up: self.gate_up.shallow_clone(),
            down: self.down.shallow_clone(),
        }
    }

    fn adapted(&self, config: &ModelConfig, adapters: &Adapters, index: usize) -> Result<Self, TchError> {
        let [query_key_value, output, gate_up, down] = self.matrices();
        let adapt = |linear: &Linear, matrix: usize| -> Result<Linear, TchError> {
            let mut parts = Vec::new();
            for projection in Projection::ALL {
                let slot = slot(projection, config);
                if let (true, Some((a, b))) = (slot.matrix == matrix, adapters.pair(index, projection)) {
                    parts.push((slot, a, b));
                }
            }
            let weight = match &linear.weight {
                Weight::Packed(packed) => {
                    let beside = adapters_beside(config, adapters, (index, matrix));
                    Weight::Packed(packed.adapted(&beside, adapters.scale)?)
                }
                _ if parts.is_empty() => linear.weight.shallow_clone(),
                Weight::Plain(weight) | Weight::Beside(weight, ..) => match weight.kind() {
                    Kind::Float => Weight::Plain(merge(weight, &parts, adapters.scale)?),
                    _ => beside(weight, &parts, adapters.scale)?,
                },
            };
            Ok(linear.with(weight))
        };
        Ok(Self {
            attention_norm: self.attention_norm.shallow_clone(),
            query_key_value: adapt(query_key_value, 0)?,
            query_key_norms: self.query_key_norms.as_ref().map(norms::both),
            output_norms: self.output_norms.as_ref().map(norms::both),
            output: adapt(output, 1)?,
            feed_forward_norm: self.feed_forward_norm.shallow_clone(),
            gate_up: adapt(gate_up, 2)?,
            down: adapt(down, 3)?,
        })
    }
}

/// Adapters of the projections in one joined matrix.
fn adapters_beside<'a>(
    config: &ModelConfig,
    adapters: &'a Adapters,
    (index, matrix): (usize, usize),
) -> Vec<packed::Beside<'a>> {
    let joined = Projection::ALL.into_iter().filter(|&projection| slot(projection, config).matrix == matrix);
    let pair = |(part, projection)| adapters.pair(index, projection).map(|(a, b)| packed::Beside { part, a, b });
    joined.enumerate().filter_map(pair).collect()
}

/// `W + scale · B A`, part by part.
fn merge(weight: &Tensor, parts: &[(Slot, &Tensor, &Tensor)], scale: f64) -> Result<Tensor, TchError> {
    let mut merged = Tensor::f_empty_like(weight)?;
    merged.f_copy_(weight)?;
    for (slot, a, b) in parts {
        let mut rows = merged.f_narrow(0, slot.row, slot.rows)?;
        let _ = rows.f_addmm_(&b.f_mul_scalar(scale)?, a)?;
    }
    Ok(merged)
}

/// All A of a joined matrix below each other, all B as blocks beside each other.
fn beside(weight: &Tensor, parts: &[(Slot, &Tensor, &Tensor)], scale: f64) -> Result<Weight, TchError> {
    let ranks: i64 = parts.iter().map(|(_, a, _)| a.size()[0]).sum();
    let inputs: Vec<&Tensor> = parts.iter().map(|(_, a, _)| *a).collect();
    let a = Tensor::f_cat(&inputs, 0)?.f_to_kind(weight.kind())?;
    let b = Tensor::f_zeros([weight.size()[0], ranks], (weight.kind(), weight.device()))?;
    let mut column = 0;
    for (slot, _, part) in parts {
        let rank = part.size()[1];
        b.f_narrow(0, slot.row, slot.rows)?.f_narrow(1, column, rank)?.f_copy_(&part.f_mul_scalar(scale)?)?;
        column += rank;
    }
    Ok(Weight::Beside(weight.shallow_clone(), a, b))
}
