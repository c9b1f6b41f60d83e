//! The 30 languages. The lists are short on purpose: a few dozen of the commonest words tell the languages of a script
//! apart in any text of some sentences.

use super::script::Script;

/// A language, and what tells it from others of its script.
pub(super) struct Language {
    /// Two letters, of ISO 639-1.
    pub(super) code: &'static str,
    pub(super) script: Script,
    /// Its commonest function words, one space between; none where the script is its own.
    pub(super) words: &'static str,
    /// Small letters that the others of its script do not have, or hardly.
    pub(super) letters: &'static str,
}

const fn alone(code: &'static str, script: Script) -> Language {
    Language { code, script, words: "", letters: "" }
}

const fn among(code: &'static str, script: Script, words: &'static str, letters: &'static str) -> Language {
    Language { code, script, words, letters }
}

pub(super) const LANGUAGES: [Language; 30] = [
    among(
        "en",
        Script::Latin,
        "the of and to a in is that it for was on are as with be this by at have from not i you we he \
         they or an but which",
        "",
    ),
    among(
        "es",
        Script::Latin,
        "el la de que y en los las un una es por con para su se del no al como más pero este lo está son \
         muy también",
        "ñ",
    ),
    among(
        "pt",
        Script::Latin,
        "o a de que e em os as um uma é por com para seu se do da no na dos das não ao como mais mas são \
         você",
        "ãõ",
    ),
    among(
        "fr",
        Script::Latin,
        "le la les de des et en un une est que qui pour dans ce il elle vous nous ne pas sur avec au aux \
         du je plus",
        "œ",
    ),
    among(
        "de",
        Script::Latin,
        "der die das und in ist nicht ein eine zu den von mit sich auf für im dem des es ich wir sie \
         auch als werden wird",
        "ßü",
    ),
    among(
        "it",
        Script::Latin,
        "il la di che e in un una è per con non i gli le del della sono si da nel alla dei come più ma \
         questo",
        "ìò",
    ),
    among(
        "pl",
        Script::Latin,
        "i w na z nie się to jest że do jak ale za co dla od po o są tak czy przez być ten",
        "ąęłśźżćń",
    ),
    among(
        "vi",
        Script::Latin,
        "và của là có trong được cho một những các không với người này đã để khi từ tôi bạn",
        "ăơưđạảấầẩẫậắằẳẵặẹẻẽếềểễệịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
    ),
    among(
        "sw",
        Script::Latin,
        "na ya wa kwa ni katika la za kuwa hii cha au yake kama hiyo watu pia si vya hili yangu",
        "",
    ),
    among(
        "fi",
        Script::Latin,
        "ja on ei se että oli hän mutta kun myös tai ovat joka kanssa niin sen voi mitä olla minä sinä",
        "",
    ),
    among(
        "ru",
        Script::Cyrillic,
        "и в не на что с по это как он она но к у за из от так же для бы был были я мы вы или его",
        "ыэё",
    ),
    among(
        "uk",
        Script::Cyrillic,
        "і в не на що з та це як він вона але до у за із від так для був були я ми ви або його",
        "іїєґ",
    ),
    among(
        "bg",
        Script::Cyrillic,
        "и в не на че с за да се от е са по това като но към при ще беше ли аз ние или той тя си",
        "ъ",
    ),
    among("ar", Script::Arabic, "في من على إلى أن هذا هذه التي الذي كان مع عن لا ما هو هي و كل أو بعد قد ذلك", "ةىأإ"),
    among("fa", Script::Arabic, "در از به که و این را با است برای آن های می شود کرد یک تا هم ما من شما بود ها", ""),
    among(
        "ur",
        Script::Arabic,
        "ہے ہیں کے کی کا میں اور سے کو نے پر یہ وہ نہیں تھا اس ایک بھی کہ جو لئے لیے تو ہو",
        "ٹڈڑںےہ",
    ),
    among(
        "hi",
        Script::Devanagari,
        "है हैं का की के में और से को पर यह वह नहीं था थे थी कि जो तो एक इस लिए ने हो भी या कर रहा रही \
         गया",
        "",
    ),
    among(
        "mr",
        Script::Devanagari,
        "आहे आहेत आणि मध्ये च्या ची चे चा या हे ही हा तो ती ते नाही होता होते होती केले करून त्या साठी \
         की एक पण मी आपण असे",
        "ळ",
    ),
    among(
        "ne",
        Script::Devanagari,
        "छ छन् र मा को का हो गर्न गरेको लागि यो त्यो भने पनि थियो हुन् गर्छ एक तथा हुन्छ ले म तपाईं हामी \
         छैन तर",
        "",
    ),
    alone("bn", Script::Bengali),
    alone("pa", Script::Gurmukhi),
    alone("gu", Script::Gujarati),
    alone("ta", Script::Tamil),
    alone("te", Script::Telugu),
    alone("kn", Script::Kannada),
    alone("ml", Script::Malayalam),
    alone("th", Script::Thai),
    alone("ko", Script::Hangul),
    alone("he", Script::Hebrew),
    alone("ja", Script::Japanese),
];
