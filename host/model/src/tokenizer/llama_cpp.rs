//! What llama.cpp takes where a GGUF file does not say it.

/// Names of one way to cut a text into words before merges are made.
pub(super) const LLAMA3_NAMES: [&str; 5] = ["llama-bpe", "llama-v3", "llama3", "falcon3", "pixtral"];
/// Likewise.
pub(super) const QWEN2_NAMES: [&str; 3] = ["qwen2", "deepseek-r1-qwen", "megrez"];
/// Likewise.
pub(super) const GPT2_NAMES: [&str; 2] = ["gpt-2", "phi-2"];

/// Tokens that end an answer, by their texts: few files name all of them.
const ENDS: [&str; 18] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
];

/// Marks between files in the training of code models: an answer ends there as well.
const FILE_MARKS: [&str; 10] = [
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
    "<PAD>",
];

/// Keys of tokens that end an answer.
pub(super) const END_KEYS: [&str; 6] = ["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"];

/// Llama 2's end. Gemma's vocabulary has it as a mark of HTML, so that it counts only where the file calls it a control token;
/// llama.cpp takes it everywhere.
pub(super) const CONTROL_END: &str = "</s>";

/// Whether the token ends an answer by its text, whatever kind the file gives it.
pub(super) fn is_end(text: &str) -> bool {
    ENDS.contains(&text) || FILE_MARKS.contains(&text)
}

/// Special tokens of a file that names none: those of Llama 2.
pub(super) const SENTENCE_PIECE_IDS: [(&str, i64); 3] = [("bos", 1), ("eos", 2), ("unknown", 0)];

/// Whether a text begins with the beginning token where the file has no `add_bos_token`.
pub(super) fn adds_beginning(model: &str, pre_tokenizer: Option<&str>) -> bool {
    model == "llama" || pre_tokenizer.is_some_and(|name| LLAMA3_NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_begin_by_default_where_they_do_in_llama_cpp() {
        let check = |model: &str, pre_tokenizer: Option<&str>, expect: bool| {
            assert_eq!(adds_beginning(model, pre_tokenizer), expect, "{model} {pre_tokenizer:?}");
        };
        check("llama", None, true);
        check("gpt2", None, false);
        for name in ["llama-bpe", "llama-v3", "llama3", "falcon3", "pixtral"] {
            check("gpt2", Some(name), true);
        }
        for name in ["qwen2", "deepseek-r1-qwen", "megrez", "gpt-2", "phi-2", "smollm"] {
            check("gpt2", Some(name), false);
        }
    }
}
