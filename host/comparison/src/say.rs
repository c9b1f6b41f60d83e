//! What the user should know while it goes on.

/// Takes a line for the user, as it comes.
pub type Say<'a> = &'a mut dyn FnMut(String);
