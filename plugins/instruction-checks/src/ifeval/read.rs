//! From a row's metadata to instructions.

use slhf_sdk::Failure;
use slhf_sdk::serde_json::{Map, Value};

use super::Ifeval;
use super::arguments::Arguments;
use crate::language;

/// Reads `instruction_id_list` and `kwargs`. The failure names the instruction.
pub(crate) fn read_all(ids: &Value, metadata: &Map<String, Value>) -> Result<Vec<Ifeval>, Failure> {
    let Value::Array(ids) = ids else {
        return Err(format!("'instruction_id_list' of the metadata is {ids}, a list was expected").into());
    };
    let entries = match metadata.get("kwargs") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(other) => return Err(format!("'kwargs' of the metadata is {other}, a list was expected").into()),
        None => &[],
    };
    if entries.len() > ids.len() {
        let (entries, ids) = (entries.len(), ids.len());
        return Err(format!("'kwargs' of the metadata has {entries} entries for {ids} instructions").into());
    }
    let place = |index: usize| format!("instruction {} of the metadata ({})", index + 1, ids[index]);
    let mut instructions = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let Some(entry) = entries.get(index) else {
            return Err(format!("{} has no entry in 'kwargs' of the metadata", place(index)).into());
        };
        let instruction = read(id, entry);
        instructions.push(instruction.map_err(|problem| format!("{} is not right: {problem}", place(index)))?);
    }
    Ok(instructions)
}

fn read(id: &Value, entry: &Value) -> Result<Ifeval, String> {
    let Value::String(id) = id else {
        return Err("a text was expected".to_owned());
    };
    let Value::Object(given) = entry else {
        return Err(format!("its entry in 'kwargs' is {entry}, an object was expected"));
    };
    let mut arguments = Arguments::new(given);
    let instruction = with_arguments(id, &mut arguments)?;
    arguments.finish()?;
    Ok(instruction)
}

fn with_arguments(id: &str, arguments: &mut Arguments<'_>) -> Result<Ifeval, String> {
    Ok(match id {
        "keywords:existence" => Ifeval::Existence(arguments.texts("keywords")?),
        "keywords:frequency" => {
            Ifeval::Frequency(arguments.text("keyword")?, arguments.count("relation", "frequency")?)
        }
        "keywords:forbidden_words" => Ifeval::ForbiddenWords(arguments.texts("forbidden_words")?),
        "keywords:letter_frequency" => {
            Ifeval::LetterFrequency(arguments.character("letter")?, arguments.count("let_relation", "let_frequency")?)
        }
        "language:response_language" => Ifeval::ResponseLanguage(language_code(arguments)?),
        "length_constraints:number_sentences" => Ifeval::NumberSentences(arguments.count("relation", "num_sentences")?),
        "length_constraints:number_paragraphs" => Ifeval::NumberParagraphs(arguments.number("num_paragraphs")?),
        "length_constraints:number_words" => Ifeval::NumberWords(arguments.count("relation", "num_words")?),
        "length_constraints:nth_paragraph_first_word" => nth_paragraph(arguments)?,
        "detectable_content:number_placeholders" => Ifeval::NumberPlaceholders(arguments.number("num_placeholders")?),
        "detectable_content:postscript" => Ifeval::Postscript(arguments.text("postscript_marker")?),
        "detectable_format:number_bullet_lists" => Ifeval::NumberBulletLists(arguments.number("num_bullets")?),
        "detectable_format:constrained_response" => Ifeval::ConstrainedResponse,
        "detectable_format:number_highlighted_sections" => {
            Ifeval::NumberHighlightedSections(arguments.number("num_highlights")?)
        }
        "detectable_format:multiple_sections" => {
            Ifeval::MultipleSections(arguments.text("section_spliter")?, arguments.number("num_sections")?)
        }
        "detectable_format:json_format" => Ifeval::JsonFormat,
        "detectable_format:title" => Ifeval::Title,
        "combination:two_responses" => Ifeval::TwoResponses,
        "combination:repeat_prompt" => Ifeval::RepeatPrompt(arguments.text("prompt_to_repeat")?),
        "startend:end_checker" => Ifeval::EndChecker(arguments.text("end_phrase")?),
        "startend:quotation" => Ifeval::Quotation,
        "change_case:capital_word_frequency" => {
            Ifeval::CapitalWordFrequency(arguments.count("capital_relation", "capital_frequency")?)
        }
        "change_case:english_capital" => Ifeval::EnglishCapital,
        "change_case:english_lowercase" => Ifeval::EnglishLowercase,
        "punctuation:no_comma" => Ifeval::NoComma,
        _ => return Err("it is none of the 25 of IFEval".to_owned()),
    })
}

fn language_code(arguments: &mut Arguments<'_>) -> Result<String, String> {
    let code = arguments.text("language")?;
    if language::is_known(&code) {
        Ok(code)
    } else {
        Err(format!("'language' is \"{code}\", one of {} was expected", language::codes()))
    }
}

fn nth_paragraph(arguments: &mut Arguments<'_>) -> Result<Ifeval, String> {
    let word = arguments.text("first_word")?.to_lowercase();
    let (nth, paragraphs) = (arguments.number("nth_paragraph")?, arguments.number("num_paragraphs")?);
    if nth > paragraphs {
        return Err(format!("'nth_paragraph' is {nth}, at most 'num_paragraphs' ({paragraphs}) was expected"));
    }
    Ok(Ifeval::NthParagraphFirstWord { word, nth, paragraphs })
}
