//! The ways in: what `slhf-lab new` writes, the pages of `docs/getting-started`, and the book's table of contents.

mod ways_in {
    mod book;
    mod getting_started;
    mod installed;
    mod new;
}
