//! An internal service that brings new people into the plant: registers them and gives each a mentor, over the in-memory
//! store. With a database instead of [`MemoryStore`] it is the same program.

use domain::access::rights::ManageUsers;
use domain::access::{Actor, Origin};
use domain::app::{mentors, users};
use domain::error::Error;
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::testing::{MemoryStore, World};
use domain::users::UserRef;
use std::io::Write;
use std::sync::Arc;

async fn onboard() -> Result<String, Error> {
    let world = World::over(Arc::new(MemoryStore::default())).await?;
    let by = Actor::system("onboarding").grant::<ManageUsers>()?;

    let mentor = world.mentor("ingrid.larsen").await?.user;
    let newcomer = World::registration("tomasz.nowak", false)?;
    let newcomer = users::register(&world.app, Origin::default(), newcomer, Once::each_time()).await?.user;

    let chosen = UserRef::Id(mentor.id);
    let view = mentors::assign(&world.app, by, newcomer.id, chosen, Precondition::None).await?;
    Ok(format!("{} learns from {}", view.user.username, mentor.username))
}

fn main() -> Result<(), Error> {
    let told = pollster::block_on(onboard())?;
    writeln!(std::io::stdout(), "{told}").map_err(|error| Error::Fault(error.into()))
}
