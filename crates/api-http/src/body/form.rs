//! `application/x-www-form-urlencoded`, for bodies and for query strings: decoded strictly.

use crate::body::json::Json;

/// Reads a form into an object of texts; a name given twice is refused.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, Json)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the form is not UTF-8".to_owned())?;
    let mut object: Vec<(String, Json)> = Vec::new();
    for pair in pairs(text) {
        let (name, value) = decode_pair(pair)?;
        if object.iter().any(|(given, _)| *given == name) {
            return Err(format!("the field {name:?} is there more than once"));
        }
        object.push((name, Json::Text(value)));
    }
    Ok(object)
}

/// The undecoded pairs of a form.
pub fn pairs(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|pair| !pair.is_empty())
}

/// Decodes one `name=value`.
pub fn decode_pair(pair: &str) -> Result<(String, String), String> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((decode(name)?, decode(value)?))
}

/// Decodes `%xx` and `+`. What is no UTF-8 then, or holds a NUL, is refused.
fn decode(text: &str) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = (bytes.next().and_then(digit), bytes.next().and_then(digit));
                let (Some(high), Some(low)) = digits else {
                    return Err(format!("{text:?} has a % that two hexadecimal digits do not follow"));
                };
                high << 4 | low
            }
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| format!("{text:?} is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(format!("{text:?} holds a NUL"));
    }
    Ok(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_decoded() {
        let text = |text: &str| Json::Text(text.to_owned());
        let read = parse(b"username=anna+m%C3%A4r&password=a%26b%3D&empty&").unwrap();
        let expected = [
            ("username".to_owned(), text("anna mär")),
            ("password".to_owned(), text("a&b=")),
            ("empty".to_owned(), text("")),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_form_that_breaks_its_grammar_is_refused() {
        for bytes in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"a=%00", b"a=\xff", b"a=1&a=2", b"a=1&%61=2"]
        {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_no_bytes_panic(
            pairs in prop::collection::btree_map("[^\\x00]{1,8}", "[^\\x00]{0,8}", 0..5),
            bytes in prop::collection::vec(prop_oneof![Just(b'%'), Just(b'&'), Just(b'='), any::<u8>()], 0..40),
        ) {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let form: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
            let expected: Vec<_> =
                pairs.iter().map(|(name, value)| (name.clone(), Json::Text(value.clone()))).collect();
            prop_assert_eq!(parse(form.join("&").as_bytes()), Ok(expected));
            let _ = parse(&bytes);
        }
    }
}
