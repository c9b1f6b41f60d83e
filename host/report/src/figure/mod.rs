//! Figures: what is to be drawn, laid out by its own measures and written as SVG.
//!
//! A figure never draws what nobody can see: where nothing varies it is a sentence. Labels stand outside of the data; more series than
//! there are colors become a panel each. A plotting library places labels without knowing what lies below them, which is why this lays
//! out its own: see docs/ARCHITECTURE.md.

mod curves;
mod dots;
mod frame;
mod matrix;
mod parallel;
mod scale;
mod scene;
mod simplex;
mod text;

#[cfg(test)]
mod tests;

pub use curves::{Curves, Point, Series, Spread};
pub use dots::{Dots, Group, Row};
pub use matrix::{Matrix, MatrixCell};
pub use parallel::{Parallel, ParallelAxis};
pub use scale::{Axis, ROUNDING, Scale};
pub use simplex::{Path, Simplex};

pub(crate) use scene::Medium;
use scene::Scene;

/// A figure before it is laid out.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// Values over a number.
    Curves(Curves),
    /// Values of named rows.
    Dots(Dots),
    /// How often each is preferred to each other one.
    Matrix(Matrix),
    /// Settings of cells beside what came of them.
    Parallel(Parallel),
    /// Policies over three actions.
    Simplex(Simplex),
}

/// What became of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// A picture.
    Svg(String),
    /// All there is to see, in a sentence.
    Sentence(String),
}

impl Figure {
    /// Above the figure.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Curves(figure) => &figure.title,
            Self::Dots(figure) => &figure.title,
            Self::Matrix(figure) => &figure.title,
            Self::Parallel(figure) => &figure.title,
            Self::Simplex(figure) => &figure.title,
        }
    }

    /// Draws it.
    #[must_use]
    pub fn draw(&self) -> Drawing {
        self.drawn(Medium::Still)
    }

    /// Draws it for a page whose script says what lies below the pointer.
    #[must_use]
    pub fn draw_live(&self) -> Drawing {
        self.drawn(Medium::Live)
    }

    pub(crate) fn drawn(&self, medium: Medium) -> Drawing {
        match self.scene() {
            Ok(scene) => Drawing::Svg(scene.svg(medium)),
            Err(sentence) => Drawing::Sentence(sentence),
        }
    }

    fn scene(&self) -> Result<Scene, String> {
        match self {
            Self::Curves(figure) => figure.scene(),
            Self::Dots(figure) => figure.scene(),
            Self::Matrix(figure) => figure.scene(),
            Self::Parallel(figure) => figure.scene(),
            Self::Simplex(figure) => figure.scene(),
        }
    }
}
