//! Figures as PNG, in one font on every machine.

use resvg::{tiny_skia, usvg};

/// A figure could not be drawn as a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("drawing a figure as PNG: {problem}")]
pub struct PngError {
    problem: String,
}

fn failed(error: impl std::fmt::Display) -> PngError {
    PngError { problem: error.to_string() }
}

/// Draws an SVG of ours.
///
/// # Errors
/// It is no SVG, or larger than a picture can be.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    drawn(svg)?.encode_png().map_err(failed)
}

/// The pixels.
pub(crate) fn drawn(svg: &str) -> Result<tiny_skia::Pixmap, PngError> {
    let mut options = usvg::Options { font_family: "DejaVu Sans".to_owned(), ..usvg::Options::default() };
    let fonts = options.fontdb_mut();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    let tree = usvg::Tree::from_str(svg, &options).map_err(failed)?;
    let size = tree.size().to_int_size();
    let mut picture = tiny_skia::Pixmap::new(size.width(), size.height())
        .ok_or_else(|| failed("it is larger than a picture can be"))?;
    resvg::render(&tree, tiny_skia::Transform::default(), &mut picture.as_mut());
    Ok(picture)
}
