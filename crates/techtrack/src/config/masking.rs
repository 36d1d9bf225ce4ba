//! What is shown in place of secrets. Where in doubt it hides too much rather than too little.

/// Stands where a secret is.
pub(crate) const MASK: &str = "********";

/// The URL with its password, if it has one, masked; also in parameters such as `?password=…`.
pub(crate) fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return MASK.to_owned();
    };
    let (place, parameters) = split_parameters(rest);
    format!("{scheme}://{}{}", mask_userinfo(place), mask_parameters(parameters))
}

// A password may itself hold `?` unescaped: parameters start only after the last `@`.
fn split_parameters(rest: &str) -> (&str, &str) {
    let host = rest.rfind('@').unwrap_or(0);
    let start = rest
        .char_indices()
        .find(|(index, c)| *index >= host && *c == '?')
        .map_or(rest.len(), |(index, _)| index);
    rest.split_at(start)
}

fn mask_userinfo(place: &str) -> String {
    let Some((userinfo, host)) = place.rsplit_once('@') else {
        return place.to_owned();
    };
    match userinfo.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@{host}"),
        None => format!("{userinfo}@{host}"),
    }
}

fn mask_parameters(parameters: &str) -> String {
    let masked = parameters.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
        Some(_) | None => parameter.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_inside_a_url_is_masked_and_the_rest_is_kept() {
        let cases = [
            ("postgres://anna:s3cret@db:5432/t", "postgres://anna:********@db:5432/t"),
            (
                "postgres://anna:p@ss/w?rd@db/t?sslmode=require",
                "postgres://anna:********@db/t?sslmode=require",
            ),
            ("postgres://db/t?user=anna&password=s3cret", "postgres://db/t?user=anna&password=********"),
            ("postgres://db/t?sslPassword=s3cret&a=b", "postgres://db/t?sslPassword=********&a=b"),
            ("redis://:s3cret@cache:6379/1", "redis://:********@cache:6379/1"),
            ("postgres://anna@db/t", "postgres://anna@db/t"),
            ("sqlite://var/techtrack.db", "sqlite://var/techtrack.db"),
            ("s3cret", "********"),
        ];
        for (url, masked) in cases {
            assert_eq!(mask_url(url), masked);
        }
    }
}
