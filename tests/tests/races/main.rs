//! Races, fifty rounds each, on both real databases: many at once, and what must hold afterwards.
//!
//! They call the use cases, not HTTP: a password hash costs more than everything that races here, so over HTTP the
//! contenders would arrive one by one.
//!
//! [`plant`] is the application that they race in. [`accounts`] has the races about people, [`register`] those about
//! equipment, [`readings`] those about what it sends, [`alerts`] those about what follows from that, [`remembered`] those about
//! what is answered from memory.

mod accounts;
mod alerts;
mod plant;
mod readings;
mod register;
mod remembered;

use plant::Plant;

const ROUNDS: usize = 50;

macro_rules! races {
    ($($file:ident: $($race:ident),+;)+) => {
        mod sqlite { $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $race() {
                super::$file::$race(super::Plant::on_sqlite().await).await;
            }
        )+)+ }
        mod postgres { $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $race() {
                super::$file::$race(super::Plant::on_postgres().await).await;
            }
        )+)+ }
    };
}

races! {
    accounts:
        equal_registrations_make_one_account,
        a_refresh_token_has_one_successor,
        every_mentor_pointer_points_at_a_mentor,
        mentors_never_form_a_circle,
        one_administrator_stays,
        a_deleted_role_is_held_by_nobody,
        a_crowd_of_guesses_is_ten_guesses;
    register:
        a_serial_number_belongs_to_one_piece,
        components_never_form_a_circle,
        hiding_equipment_leaves_whole_batches,
        purging_equipment_leaves_no_orphans;
    readings:
        a_batch_sent_again_and_again_in_any_order_is_stored_once,
        metrics_of_one_instant_sent_apart_become_one_reading;
    alerts:
        many_breaches_at_once_are_one_alert,
        an_alert_that_is_handled_while_readings_come_in_takes_legal_steps,
        an_alert_names_a_version_of_the_rule_that_its_value_breaches,
        silence_is_told_once_whoever_watches;
    remembered:
        a_changed_piece_is_seen_as_it_is,
        the_newest_reading_is_seen_by_whoever_asks_after_it,
        equipment_that_comes_and_goes_is_counted_as_it_is;
}
