//! The server is killed while eight write. It is ready again at once, and needs no repair.

use crate::ledger::hold;
use crate::writers::Writers;
use crate::{patience, recovery, rounds, slowest, tell};
use tests::{Backend, Options, Server, stories};

stories! {
    async fn what_was_acknowledged_outlives_the_server(backend: Backend) {
        let rounds = rounds(2, 30);
        let options = Options::default().set("TECHTRACK_TOKEN_ACCESS_SECONDS", "3600");
        let mut server = Server::start_with(backend, options.clone()).await;
        let writers = Writers::start(&server, &server.admin().await).await;
        let mut ready = Vec::new();
        for round in 0..rounds {
            writers.acknowledge(25 + 11 * (round as u64 % 7)).await;
            let installation = server.installation.clone();
            server.kill();
            server = installation.serve(options.clone()).await;
            ready.push(server.ready_after);
            writers.go_to(&server);
        }
        writers.acknowledge(20).await;
        tell(&format!("{backend:?}: the server was killed {rounds} times; ready again after at most {}", slowest(&ready)));
        writers.expect_manners(patience());
        let ledgers = writers.finish().await;
        hold(&ledgers, &server.admin().await).await;
        assert!(ready.iter().all(|took| *took <= recovery()), "ready after {ready:?}");
    }
}
