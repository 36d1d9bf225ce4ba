//! A figure as a picture: horizontal bars, ours dark and the limits light, as a small SVG that needs nothing else.

use crate::results::{Plot, rounded};
use std::fmt::Write;

const WIDTH: usize = 920;
const LABELS: usize = 390;
const NUMBERS: usize = 90;
const BAR: usize = 20;
const GAP: usize = 8;
const TOP: usize = 44;
const OURS: &str = "#1f6f8b";
const LIMIT: &str = "#c9b458";

/// The picture.
pub(crate) fn svg(title: &str, plot: &Plot) -> String {
    let most = plot.columns.iter().map(|column| column.value).fold(0.0, f64::max);
    let height = TOP + plot.columns.len() * (BAR + GAP) + GAP;
    let mut out = String::new();
    // Writing into memory cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{GAP}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{} ({})</text>",
        escaped(title),
        escaped(&plot.unit)
    );
    for (place, column) in plot.columns.iter().enumerate() {
        let top = TOP + place * (BAR + GAP);
        let text = top + BAR - 5;
        let length = length(column.value, most);
        let colour = if column.is_limit { LIMIT } else { OURS };
        let _ = writeln!(
            out,
            "<text x=\"{label}\" y=\"{text}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{top}\" width=\"{length}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{number}\" y=\"{text}\">{}</text>",
            escaped(&column.label),
            rounded(column.value),
            label = LABELS - GAP,
            number = LABELS + length + GAP,
        );
    }
    out.push_str("</svg>\n");
    out
}

/// How long a bar is, in pixels.
fn length(value: f64, most: f64) -> usize {
    let room = (WIDTH - LABELS - NUMBERS) as f64;
    if most > 0.0 && value.is_finite() { (value / most * room).round() as usize } else { 0 }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
        plot.column("ours < limit", 50.0, false);
        plot.column("limit", 100.0, true);
        plot
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let svg = svg("Bulk", &plot());
        let room = WIDTH - LABELS - NUMBERS;
        assert!(svg.contains(&format!("width=\"{}\" height=\"{BAR}\" fill=\"{OURS}\"", room / 2)), "{svg}");
        assert!(svg.contains(&format!("width=\"{room}\" height=\"{BAR}\" fill=\"{LIMIT}\"")), "{svg}");
    }

    #[test]
    fn labels_cannot_break_out_of_the_picture() {
        assert!(svg("Bulk & more", &plot()).contains("ours &lt; limit"));
        assert!(svg("Bulk & more", &plot()).contains("Bulk &amp; more"));
    }

    #[test]
    fn a_number_that_is_none_has_no_bar() {
        assert_eq!(length(f64::NAN, 10.0), 0);
        assert_eq!(length(1.0, 0.0), 0);
    }
}
