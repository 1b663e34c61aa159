//! The tests that every store must pass, on every store that there is. They are written against the trait.

/// Runs each test on a file and in memory.
macro_rules! on_every_store {
    ($($room:ident :: $test:ident),+ $(,)?) => {
        mod file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let directory = tempfile::tempdir().unwrap();
                let store = potok_journal::SqliteStore::open(directory.path().join("potok.db"), &Default::default()).unwrap();
                crate::$room::$test(std::sync::Arc::new(store)).await;
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                crate::$room::$test(std::sync::Arc::new(potok_journal::SqliteStore::in_memory().unwrap())).await;
            })+
        }
    };
}

on_every_store!(
    runs::a_run_is_read_as_it_was_written,
    runs::snapshots_cut_the_journal,
    runs::another_writer_is_fenced_off,
    runs::what_belongs_together_stands_or_falls_together,
    runs::an_ended_run_takes_no_more_entries,
    runs::a_key_starts_a_workflow_once,
    runs::producers_share_transactions,
    runs::large_values_are_stored_once,
    runs::values_of_snapshots_go_with_them,
    runs::the_time_of_the_last_write_is_told_to_a_second,
    runs::too_large_values_are_named,
    runs::runs_are_listed_newest_first,
    runs::due_runs_come_in_order,
    runs::a_run_that_was_told_something_is_due,
    runs::timelines_come_in_pages,
    events::an_event_comes_in_once,
    events::who_waits_for_a_value_is_told_alone,
    events::one_of_ten_thousand_is_told,
    events::early_events_are_found,
    events::a_listener_rests_and_goes_on,
    events::emits_are_one_with_their_cause,
    events::quiet_events_come_only_by_name,
    events::pages_go_on_where_they_ended,
    events::the_oldest_events_leave,
    events::large_events_come_whole,
    retire::a_run_leaves_with_what_it_alone_mentions,
    retire::who_has_not_ended_stays_with_what_it_needs,
    retire::the_oldest_leave_in_small_steps,
    retire::blobs_that_nothing_mentions_go_after_a_while,
    retire::values_of_events_leave_with_them,
    inner::inner_calls_are_read_as_they_were_kept,
    inner::inner_calls_go_with_the_call_that_made_them,
    inner::an_inner_call_is_progress,
    rates::no_span_holds_more_than_it_may,
    rates::who_asks_again_gets_the_same_moment,
    slots::the_oldest_gets_the_place_that_is_free,
    slots::a_run_without_a_place_can_be_refused,
    slots::the_newest_takes_the_place_of_the_oldest,
    catalog::definitions_have_versions_and_drafts,
    catalog::the_active_version_is_the_chosen_or_the_newest,
    catalog::used_definitions_stay,
    catalog::plugins_are_known_by_hash_and_version,
    catalog::triggers_keep_their_state,
    catalog::blobs_are_listed,
    tables::providers_have_their_tables,
    tables::provider_statements_stay_in_their_place,
    tables::migrations_run_forward_once,
);
