//! What every database of TechTrack promises, as tests.
//!
//! Each promise is one `pub async fn` with a sentence for a name, in a module per concern; [`store_contract!`] turns all
//! of them into tests of one adapter. The table in that macro (for the plant, in [`plant!`] and [`readings!`]) is the only list: a promise
//! that is not in it is dead code, and dead code does not compile here.
//!
//! An adapter joins by a file of its own, `tests/contract.rs`:
//!
//! ```
//! # use domain::ports::Store;
//! # use std::sync::Arc;
//! /// The store, and whatever removes its database on drop.
//! struct Fresh(Arc<dyn Store>);
//!
//! impl store_contract::Fresh for Fresh {
//!     fn store(&self) -> Arc<dyn Store> {
//!         self.0.clone()
//!     }
//! }
//!
//! async fn fresh() -> Fresh {
//!     Fresh(Arc::new(domain::testing::MemoryStore::default()))
//! }
//!
//! store_contract::store_contract!(fresh);
//! # fn main() {}
//! ```
//!
//! What lives elsewhere: the ports and the words of their duties are in [`domain::ports`]; how a backend is set up, broken
//! and torn down is tested in its adapter.
#![deny(dead_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these functions are the bodies of tests: what cannot be set up is a broken promise"
)]

mod alert_lists;
mod alerts;
mod api_keys;
mod builders;
mod chain;
mod components;
mod database;
mod deliveries;
mod equipment;
mod equipment_filters;
mod equipment_lists;
mod heads;
mod holds;
mod idempotency;
mod intake;
mod live;
mod maintenance;
mod mentorships;
mod metrics;
mod packs;
mod plant;
mod purges;
mod readers;
mod reading_streams;
mod readings;
mod retention;
mod role_lists;
mod roles;
mod rollups;
mod rule_alerts;
mod rule_lists;
mod rules;
mod sessions;
mod sign_ins;
mod signing_keys;
mod silences;
mod thinnings;
mod timelines;
mod trail;
mod transactions;
mod turns;
mod user_lists;
mod users;
mod webhooks;

pub use database::{Database, Fresh, hold, hold_packed};

/// Expands to one `#[tokio::test]` per promise, each over a store of its own that `$fresh` makes: the path of an
/// `async fn() -> impl Fresh`.
#[macro_export]
macro_rules! store_contract {
    ($fresh:path) => {
        $crate::store_contract! { @table tests $fresh }
        $crate::plant! { tests $fresh }
        $crate::readings! { tests $fresh }
        $crate::readings! { packed $fresh }
    };
    (@table $expand:ident $($fresh:path)?) => {
        $crate::store_contract! { @$expand $($fresh)?;
            users {
                a_new_user_has_the_first_version_and_is_found_by_id
                every_field_of_a_new_user_round_trips_at_its_greatest_length
                a_user_may_lack_all_that_may_be_lacking
                every_standing_of_a_password_round_trips
                an_instant_keeps_its_microseconds_from_the_first_year_to_the_last
                an_unknown_user_is_not_found_anywhere
                a_locked_user_is_the_stored_one
                a_user_is_found_by_any_spelling_of_the_login
                a_taken_login_is_named
                a_taken_email_is_named
                a_taken_phone_is_named
                saving_what_is_taken_names_it
                a_user_may_respell_what_is_their_own
                saving_writes_every_field_and_raises_the_version
                saving_clears_what_is_cleared
                saving_counts_from_the_stored_version_and_keeps_the_instant_of_creation
                saving_a_user_leaves_the_others_alone
                saving_a_user_that_is_gone_dangles
                a_mentor_who_does_not_exist_dangles
                storage_itself_refuses_that_anybody_mentors_themselves
                touching_raises_the_versions_of_those_users_alone
                a_deleted_user_takes_sessions_keys_and_roles_along_and_nobody_elses
                a_user_with_mentees_is_not_deleted
                a_deleted_mentee_leaves_the_mentor_as_they_were
                deleting_a_user_twice_says_that_there_is_none
                what_a_deleted_user_had_taken_is_free_again
                an_id_is_never_given_twice
                a_view_shows_roles_by_name_the_mentor_and_mentees_by_id
                a_view_of_somebody_alone_is_empty_around_them
            }
            user_lists {
                a_store_with_nobody_in_it_lists_nobody
                users_are_listed_by_id_when_nobody_asks_otherwise
                users_are_ordered_by_folded_login_byte_by_byte
                users_without_email_count_as_smallest
                users_who_never_signed_in_count_as_smallest
                equals_are_ordered_by_id_whichever_way_the_list_runs
                users_are_ordered_by_when_they_were_made_and_written
                a_second_key_orders_what_the_first_leaves_equal
                pages_of_users_cut_the_list_without_gap_or_repetition
                a_page_of_users_past_the_end_is_empty_and_knows_the_total
                users_are_filtered_by_login_however_it_is_spelled
                users_are_filtered_by_email_without_regard_to_case
                users_are_filtered_by_the_digits_of_their_phone
                users_are_filtered_by_role_and_each_is_listed_once
                users_are_filtered_by_being_mentors_and_by_being_active
                users_are_filtered_by_mentor_by_id_or_by_login
                users_are_filtered_by_a_half_open_span_of_creation
                filters_of_different_fields_must_all_hold
                a_search_finds_part_of_the_login_without_regard_to_case
                a_search_takes_every_character_literally
                a_search_looks_into_email_and_phone_only_when_it_may
                a_listed_user_comes_with_roles_mentor_and_mentees
            }
            mentorships {
                mentees_are_those_of_the_mentor_by_id
                mentors_above_are_named_from_the_nearest_up
                nobody_is_above_who_has_no_mentor
                climbing_ends_even_in_a_circle
                releasing_frees_every_mentee_and_counts_as_a_write
                releasing_touches_no_other_mentors_mentees
                releasing_nobody_is_an_empty_list
                a_mentor_who_released_everybody_can_be_deleted
                a_mentor_chosen_in_an_open_unit_is_not_deleted_meanwhile
                a_mentor_deleted_in_an_open_unit_is_not_chosen_meanwhile
            }
            roles {
                every_field_of_a_new_role_round_trips_at_its_greatest_length
                every_permission_round_trips_and_so_does_none
                an_unknown_role_is_not_found_anywhere
                a_locked_role_is_the_stored_one
                a_role_is_found_by_name_without_regard_to_case
                a_taken_role_name_is_named
                a_role_may_respell_its_own_name
                saving_a_role_writes_what_may_change_and_raises_the_version
                saving_a_role_counts_from_the_stored_version
                saving_a_role_that_is_gone_dangles
                a_role_that_nobody_holds_is_deleted_and_its_name_is_free
                a_role_that_somebody_holds_is_not_deleted
                a_role_is_given_once_and_taken_once
                giving_a_role_names_whichever_of_the_two_is_gone
                roles_of_a_user_come_by_name_and_holders_by_id
                active_holders_are_those_who_may_act
                a_role_given_in_an_open_unit_is_not_deleted_meanwhile
                a_role_deleted_in_an_open_unit_is_not_given_meanwhile
                a_user_deleted_in_an_open_unit_is_given_no_role_meanwhile
            }
            role_lists {
                a_store_without_roles_lists_none
                a_listed_role_is_the_stored_one
                roles_are_ordered_by_each_key_both_ways
                equal_roles_are_ordered_by_id_whichever_way_the_list_runs
                roles_are_filtered_by_name_without_regard_to_case
                roles_are_filtered_by_permission_and_each_is_listed_once
                roles_are_filtered_by_holder_by_id_or_by_login
                role_filters_of_different_fields_must_all_hold
                a_role_search_looks_into_name_and_description_without_regard_to_case
                a_role_search_takes_every_character_literally
                pages_of_roles_cut_the_list_and_know_the_total
            }
            sessions {
                every_field_of_a_new_session_round_trips
                a_session_may_lack_address_and_agent
                a_session_of_nobody_dangles
                an_unknown_session_is_not_found_anywhere
                a_session_answers_with_the_account_and_the_union_of_its_roles
                a_session_answers_with_what_holds_at_this_moment
                a_locked_session_is_the_stored_one
                advancing_is_one_step_that_moves_every_instant
                only_the_current_generation_advances
                an_ended_session_does_not_advance
                a_step_that_was_rolled_back_can_be_taken_again
                of_twenty_simultaneous_steps_from_one_generation_one_succeeds
                a_session_notes_when_it_was_used
                a_session_is_prolonged_without_a_step
                a_list_of_sessions_holds_the_users_own_that_have_not_lapsed
                sessions_are_ordered_by_each_key_both_ways_and_equals_by_id
                pages_of_sessions_cut_the_list_and_know_the_total
                a_user_ends_their_own_session_alone
                ending_all_sessions_spares_the_one_to_keep_and_other_users
                lapsed_sessions_are_forgotten_and_no_others
                a_user_deleted_in_an_open_unit_is_not_signed_in_meanwhile
            }
            api_keys {
                every_field_of_a_new_key_round_trips_at_its_greatest_length
                a_key_may_have_no_limits_at_all
                the_equipment_of_a_key_is_answered_by_id
                a_key_name_is_taken_among_its_owners_keys_alone
                a_key_of_nobody_dangles
                a_key_is_found_by_its_whole_digest
                a_key_answers_with_its_owners_permissions_of_this_moment
                a_key_notes_when_it_was_used
                a_key_is_found_and_revoked_by_its_owner_alone
                keys_are_ordered_by_each_key_both_ways_and_equals_by_id
                pages_of_keys_cut_the_list_and_know_the_total
            }
            sign_ins {
                a_key_never_seen_has_a_fresh_counter
                every_field_of_a_counter_round_trips
                a_counter_may_be_saved_without_being_locked
                a_counter_saved_again_replaces_the_one_before
                counters_under_different_keys_are_apart
                a_counter_whose_unit_was_rolled_back_is_as_before
                quiet_counters_are_forgotten_and_no_others
            }
            idempotency {
                every_byte_of_an_answer_round_trips
                an_answer_may_be_empty
                what_was_never_asked_has_no_answer
                the_same_answer_twice_is_stored_once
                a_second_answer_does_not_replace_the_first
                of_two_answers_at_the_same_moment_the_later_waits_and_is_refused
                of_two_answers_at_the_same_moment_the_later_is_kept_if_the_earlier_was_undone
                answers_given_before_an_instant_are_forgotten_and_no_others
            }
            signing_keys {
                a_new_store_holds_no_signing_key
                every_field_of_a_signing_key_round_trips
                signing_keys_are_listed_newest_first
                a_taken_signing_key_id_is_named
                a_deleted_signing_key_is_gone_and_no_other
            }
            trail {
                every_field_of_an_event_round_trips
                an_event_may_lack_all_that_may_be_lacking
                every_action_and_both_kinds_of_address_round_trip
                later_events_have_larger_ids
                the_trail_outlives_whom_it_tells_of
                an_empty_trail_has_nothing_beyond_either_end
                a_stretch_begins_at_the_start_and_knows_what_follows
                a_stretch_after_a_mark_follows_it
                a_stretch_before_a_mark_is_the_nearest_and_in_the_streams_order
                a_mark_that_is_not_in_the_stream_cuts_it_all_the_same
                what_a_filter_leaves_out_lies_beyond_no_end
                walking_the_trail_meets_every_event_once_in_either_direction
                the_trail_is_filtered_by_actor_and_by_action
                the_trail_is_filtered_by_kind_and_id_of_the_subject
                the_trail_is_filtered_by_a_half_open_span_of_time
                a_trail_search_looks_into_both_names_without_regard_to_ascii_case
                trail_filters_of_different_fields_must_all_hold
            }
            chain {
                a_trail_without_a_line_is_whole
                what_a_unit_records_is_appended_in_order_by_its_commit_and_unseen_before
                a_unit_that_is_undone_leaves_no_gap_in_the_trail
                lines_come_with_their_seals_in_steps
                units_that_record_at_the_same_time_make_one_chain
                who_follows_the_trail_by_its_ids_misses_nothing
                units_that_hold_what_others_want_do_not_hold_the_end_of_the_trail
                what_is_recorded_while_readings_are_taken_in_is_appended_too
            }
            transactions {
                the_database_gives_a_sign_of_life
                a_connection_counts_as_in_use_until_its_unit_of_work_or_reader_ends
                a_unit_sees_its_own_work
                committed_work_is_seen_by_the_next_reader_and_the_next_unit
                uncommitted_work_is_unseen_by_readers_who_do_not_wait_for_it
                uncommitted_changes_and_deletions_are_unseen_by_readers
                uncommitted_work_is_unseen_by_another_unit
                a_rollback_leaves_nothing
                a_dropped_unit_leaves_nothing
                a_rollback_puts_back_what_was_changed_and_deleted
                after_a_refused_statement_a_rollback_undoes_the_whole_unit
                after_a_refused_statement_a_drop_undoes_the_whole_unit
                many_units_one_after_the_other_leave_nothing_behind
                many_readers_may_look_at_once
            }
            readers {
                a_reader_writes_no_users
                a_reader_releases_no_mentees
                a_reader_writes_no_roles
                a_reader_writes_no_sessions
                a_reader_writes_no_keys
                a_reader_counts_no_sign_ins
                a_reader_remembers_no_answers
                a_reader_writes_no_signing_keys
                a_reader_records_no_events
                a_reader_writes_no_equipment
                a_reader_enters_no_maintenance
                a_reader_writes_no_readings
                a_reader_keeps_no_rollups
                a_reader_keeps_no_thinnings
                a_reader_describes_no_metrics
                a_reader_writes_and_holds_no_rules
                a_reader_writes_and_holds_no_alerts
                a_reader_announces_and_forgets_nothing
                a_reader_writes_no_webhooks_and_no_deliveries
            }
            turns {
                units_that_lock_one_user_take_turns
                units_that_lock_one_role_take_turns
                units_that_lock_one_session_take_turns
                units_that_lock_one_counter_take_turns_also_when_neither_was_there
                units_that_lock_a_stored_counter_take_turns
                units_that_lock_the_mentorships_take_turns
                units_that_lock_the_administration_take_turns
                units_that_lock_the_signing_keys_take_turns
                units_that_lock_the_rules_take_turns
                units_that_lock_the_tree_take_turns
                units_that_lock_one_piece_take_turns
                units_that_lock_one_head_take_turns
                units_that_lock_one_metric_take_turns
                units_that_lock_one_alert_take_turns
                units_that_lock_one_webhook_take_turns
                units_that_lock_the_unresolved_alerts_of_one_rule_take_turns
                a_lock_may_be_taken_twice_by_the_unit_that_holds_it
                a_user_saved_in_an_open_unit_is_locked
                a_rollback_holds_no_lock
                a_dropped_unit_holds_no_lock
                a_unit_abandoned_while_it_waits_holds_no_lock
                of_two_units_that_take_one_login_the_later_is_refused
                of_two_units_that_take_one_login_the_later_has_it_if_the_earlier_is_undone
                twenty_units_that_count_under_a_lock_lose_no_count
                of_twenty_units_that_take_one_login_at_once_one_succeeds
                the_last_of_two_administrators_is_seen_to_be_the_last
            }
        }
    };
    (@tests $fresh:path; $($concern:ident { $($promise:ident)* })*) => {$(
        mod $concern {
            #[allow(unused_imports, reason = "the path to the maker may be absolute")]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    $crate::hold($fresh().await, $crate::promises::$concern::$promise).await;
                }
            )*
        }
    )*};
    (@packed $fresh:path; $($concern:ident { $($promise:ident)* })*) => {
        mod packed {
            #[allow(unused_imports, reason = "the path to the maker may be absolute")]
            use super::*;

            $(
                mod $concern {
                    #[allow(unused_imports, reason = "the path to the maker may be absolute")]
                    use super::*;

                    $(
                        #[tokio::test(flavor = "multi_thread")]
                        async fn $promise() {
                            $crate::hold_packed($fresh().await, $crate::promises::$concern::$promise).await;
                        }
                    )*
                }
            )*
        }
    };
    (@exports; $($concern:ident { $($promise:ident)* })*) => {$(
        #[allow(missing_docs, reason = "the names of the promises say it")]
        pub mod $concern {
            pub use $crate::$concern::{$($promise),*};
        }
    )*};
}

/// Every promise, by concern.
pub mod promises {
    store_contract! { @table exports }
    crate::plant! { exports }
    crate::readings! { exports }
}
