//! What a person who starts the server sees first.

use crate::address::Reached;
use domain::text::{Secret, Username};

/// Where to look, and the first administrator's password if it was invented just now: it is not kept anywhere else.
pub(super) fn lines(reached: &Reached, administrator: &Username, generated: Option<&Secret>) -> String {
    let base = &reached.base;
    let mut lines = format!("TechTrack serves\n  API      {base}/api/\n  Swagger  {base}/swagger/\n");
    if let Some(password) = generated {
        lines.push_str(&format!(
            "\nThe first administrator was made. This is shown once:\n  login     {administrator}\n  password  {}\n",
            password.reveal()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_only_when_it_was_invented() {
        let listen = Reached::at("0.0.0.0:8000".parse().unwrap(), false);
        let admin = Username::parse("admin").unwrap();
        let first = lines(&listen, &admin, Some(&Secret::new("abcd-efgh-ijkl-mnop")));
        assert!(first.contains("http://127.0.0.1:8000/swagger/") && first.contains("abcd-efgh-ijkl-mnop"));
        let later = lines(&listen, &admin, None);
        assert!(!later.contains("password"), "{later}");
    }
}
