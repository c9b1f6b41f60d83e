// libtorch's wheel has c10d's headers without those of Gloo that they include. What c10d's headers name of Gloo is declared here and
// nowhere defined: the library has it. Nothing of Gloo is called from this crate.
#pragma once
