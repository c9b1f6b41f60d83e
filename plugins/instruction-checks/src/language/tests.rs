use super::*;

#[test]
fn every_language_is_told_by_a_sentence() {
    let check = |code: &str, text: &str| assert_eq!(detect(text), Some(code), "{text}");
    check("en", "This is the way to the river, and it is not far.");
    check("es", "Este es el camino que lleva al río, y no está muy lejos.");
    check("pt", "Este é o caminho para o rio, e não fica muito longe da cidade.");
    check("fr", "Le chemin de la rivière est par ici, et ce n'est pas loin du village.");
    check("de", "Das ist der Weg zum Fluss, und er ist nicht weit von der Stadt.");
    check("it", "Questo è il sentiero per il fiume, e non è lontano dalla città.");
    check("pl", "To jest droga do rzeki i nie jest daleko od miasta.");
    check("vi", "Đây là con đường ra sông và nó không xa thành phố.");
    check("sw", "Hii ni njia ya kwenda kwa mto, na si mbali na mji.");
    check("fi", "Tämä on tie joelle, ja se ei ole kaukana, mutta matka on pitkä.");
    check("ru", "Это дорога к реке, и она не очень далеко от города.");
    check("uk", "Це дорога до річки, і вона не дуже далеко від міста.");
    check("bg", "Това е пътят към реката и той не е далеч от града.");
    check("ar", "هذا هو الطريق إلى النهر وهو ليس بعيدا عن المدينة.");
    check("fa", "این راه به رودخانه است و از شهر دور نیست.");
    check("ur", "یہ دریا کا راستہ ہے اور شہر سے دور نہیں ہے۔");
    check("hi", "यह नदी का रास्ता है और शहर से दूर नहीं है।");
    check("mr", "हा नदीचा रस्ता आहे आणि तो शहरापासून दूर नाही.");
    check("ne", "यो नदीको बाटो हो र यो शहरबाट टाढा छैन।");
}

#[test]
fn a_script_of_its_own_tells_a_language() {
    let check = |code: &str, text: &str| assert_eq!(detect(text), Some(code), "{text}");
    check("bn", "নদী OK");
    check("pa", "ਨਦੀ");
    check("gu", "નદી");
    check("ta", "நதி");
    check("te", "నది");
    check("kn", "ನದಿ");
    check("ml", "നദി");
    check("th", "แม่น้ำ");
    check("ko", "강은 멀지 않다");
    check("he", "הנהר");
    check("ja", "川は遠くない");
}

#[test]
fn what_cannot_be_told_is_not_guessed() {
    for text in ["", "12 + 3", "🙂", "Hm", "OK OK", "河", "река", "नदी"] {
        assert_eq!(detect(text), None, "{text}");
    }
    assert_eq!(detect("la"), None, "more than one language has it");
}

#[test]
fn a_text_is_english_unless_it_is_plainly_not() {
    let check = |text: &str, expect: Option<&str>| assert_eq!(other_than_english(text), expect, "{text}");
    check("OK, SHELDON", None);
    check("12", None);
    check("THE RIVER IS FAR", None);
    check("DER FLUSS IST WEIT", Some("de"));
    check("река", Some("another script"));
    check("नदी है", Some("hi"));
}

#[test]
fn all_30_are_known() {
    assert!(LANGUAGES.iter().all(|language| is_known(language.code)));
    assert!(!is_known("nl"));
    assert!(codes().starts_with("en, es, "), "{}", codes());
}
