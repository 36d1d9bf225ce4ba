//! `techtrack keys`: the keys that sign tokens.

use crate::compose;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use domain::access::Actor;
use domain::app::signing_keys;

/// Makes a new key that signs from now on. Servers take it up by themselves.
pub(crate) async fn rotate(config: &Config) -> Result<(), Failure> {
    if let Some(file) = &config.token.key_file {
        let message = format!("the signing keys come from {}: change that file", file.display());
        return Err(Failure::Usage(message));
    }
    let app = compose::prepared(config).await?;
    let key = signing_keys::rotate(&app, &Actor::system("command line")).await?;
    Ok(terminal::print(&format!("Tokens are signed with the key {} from now on.", key.id))?)
}
