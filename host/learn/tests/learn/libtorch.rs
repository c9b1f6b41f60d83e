//! The build script's promise: a test that uses torch runs without environment variables.

use tch::{Kind, Tensor};

#[test]
fn torch_computes_without_a_library_path() {
    let preferences = Tensor::from_slice(&[0.5, 0.9, 0.1, 0.5]).view([2, 2]);
    let policy = Tensor::from_slice(&[0.25, 0.75]);
    let values = preferences.f_matmul(&policy).expect("shapes agree");
    let values = Vec::<f64>::try_from(values.to_kind(Kind::Double)).expect("one dimension");
    // 0.5·0.25 + 0.9·0.75 and 0.1·0.25 + 0.5·0.75
    for (value, expect) in values.iter().zip([0.8, 0.4]) {
        assert!((value - expect).abs() < 1e-12, "{value} is not {expect}");
    }
}
