//! Whether the client takes what the operation can give.

use actix_web::http::header::{ACCEPT, HeaderMap};

/// Whether the `Accept` headers leave at least one of these media types. No header accepts everything.
pub fn accepts_any(headers: &HeaderMap, offered: &[String]) -> bool {
    let ranges = ranges(headers);
    ranges.is_empty() || offered.iter().any(|offer| quality(&ranges, offer) > 0)
}

/// Whether the `Accept` headers leave this media type.
pub fn accepts(headers: &HeaderMap, offered: &str) -> bool {
    let ranges = ranges(headers);
    ranges.is_empty() || quality(&ranges, offered) > 0
}

/// Of these media types the one that the client likes best; of equals the first.
pub fn preferred<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best = None;
    for offer in offered {
        let liked = quality(&ranges, offer);
        if liked > best.map_or(0, |(_, liked)| liked) {
            best = Some((*offer, liked));
        }
    }
    best.map(|(offer, _)| offer)
}

/// A media range and how much it is liked, in thousandths.
struct Range {
    kind: String,
    quality: u16,
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(read_range)
        .collect()
}

fn read_range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| kind.contains('/'))?.to_ascii_lowercase();
    let quality = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok())?;
    let quality = (quality.clamp(0.0, 1.0) * 1000.0).round() as u16;
    Some(Range { kind, quality })
}

/// How much an offer is liked: the most exact range decides.
fn quality(ranges: &[Range], offer: &str) -> u16 {
    let group = offer.split('/').next().unwrap_or_default();
    let candidates = [offer.to_owned(), format!("{group}/*"), "*/*".to_owned()];
    candidates
        .iter()
        .find_map(|candidate| ranges.iter().find(|range| range.kind == *candidate))
        .map_or(0, |range| range.quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn accept(text: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(text));
        headers
    }

    fn takes_json(text: &'static str) -> bool {
        accepts_any(&accept(text), &["application/json".to_owned()])
    }

    #[test]
    fn json_is_taken_by_name_by_group_and_by_anything() {
        for text in [
            "*/*",
            "application/*",
            "Application/JSON; charset=utf-8",
            "text/html, application/json;q=0.1",
            "garbage",
            "",
        ] {
            assert!(takes_json(text), "{text}");
        }
        assert!(accepts_any(&HeaderMap::new(), &["application/json".to_owned()]));
    }

    #[test]
    fn json_that_is_excluded_is_not_taken() {
        for text in ["text/html", "application/json;q=0", "*/*, application/json;q=0", "image/*"] {
            assert!(!takes_json(text), "{text}");
        }
    }

    #[test]
    fn the_better_liked_form_is_preferred() {
        let offered = ["application/json", "text/html"];
        let browser = accept("text/html,application/xhtml+xml,*/*;q=0.8");
        assert_eq!(preferred(&browser, &offered), Some("text/html"));
        assert_eq!(preferred(&accept("*/*"), &offered), Some("application/json"));
        assert_eq!(preferred(&accept("image/png"), &offered), None);
    }
}
