//! Searching through several texts of a row at once: they stand together in one column, so that one index serves.

use domain::text::fold;

/// Stands between the texts. None of them may contain it.
const SEPARATOR: &str = "\u{1}";

/// The texts in the form in which they are searched.
pub(crate) fn key<'text>(texts: impl IntoIterator<Item = &'text str>) -> String {
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).map(fold).collect();
    texts.join(SEPARATOR)
}

/// The pattern of `LIKE` that finds this text, taken literally.
pub(crate) fn pattern(text: &str) -> String {
    let literal = fold(text).replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    // Two separators in a row stand nowhere, so what has one in it is found nowhere.
    format!("%{}%", literal.replace(SEPARATOR, &SEPARATOR.repeat(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded_and_stand_apart() {
        assert_eq!(key(["Straße", "", "ＰRESS"]), "strasse\u{1}press");
        assert_eq!(pattern("Presse"), "%presse%");
    }

    #[test]
    fn nothing_in_a_searched_text_has_a_meaning_of_its_own() {
        assert_eq!(pattern(r"50%_\"), r"%50\%\_\\%");
        assert_eq!(pattern("a\u{1}b"), "%a\u{1}\u{1}b%");
    }
}
