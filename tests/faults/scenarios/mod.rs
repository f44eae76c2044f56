//! The faults, by what they happen to.

mod api;
mod deletions;
mod hosts;
mod kills;
mod machines;
mod postgres;
mod stores;
mod upgrades;
mod webhooks;

use futures_util::future::BoxFuture;

use crate::world::World;

/// One fault.
pub struct Scenario {
    pub name: &'static str,
    /// Takes longer than a few seconds, so it is left out unless it is asked for.
    pub is_slow: bool,
    pub run: for<'a> fn(&'a mut World) -> BoxFuture<'a, ()>,
}

/// `scenarios![quick module::name, slow module::name, …]`
macro_rules! scenarios {
    ($($speed:ident $module:ident::$name:ident),* $(,)?) => {
        &[$(Scenario {
            name: concat!(stringify!($module), "::", stringify!($name)),
            is_slow: scenarios!(@ $speed),
            run: |world| Box::pin($module::$name(world)),
        }),*]
    };
    (@ quick) => { false };
    (@ slow) => { true };
}

pub const ALL: &[Scenario] = scenarios![
    quick kills::killed_worker,
    quick kills::one_of_two_workers_killed,
    quick kills::terminated_worker,
    quick kills::killed_api_in_an_upload,
    quick kills::paused_worker_wakes_late,
    slow kills::killed_with_its_database,
    slow kills::workers_killed_in_a_row,
    slow kills::image_that_kills_its_worker,
    slow kills::killed_api_in_a_cancel,
    slow kills::steered_between_kills,
    slow kills::chaos,
    slow kills::chaos_over_a_bucket,
    slow deletions::deleted_between_kills,
    slow machines::links_are_cut,
    slow postgres::connections_cut_and_refused,
    quick postgres::server_killed,
    slow postgres::connections_all_taken,
    slow postgres::connections_fall_silent,
    slow postgres::server_stalls,
    quick stores::store_fails_for_a_while,
    slow stores::disk_is_full_for_a_while,
    slow stores::disk_of_the_database_is_full_for_a_while,
    slow stores::clients_take_all_descriptors,
    slow stores::descriptors_run_out,
    quick hosts::slow_host_beside_a_fast_one,
    quick hosts::small_request_behind_a_large_one,
    slow upgrades::old_and_new_side_by_side,
    quick webhooks::receiver_fails_first,
    quick webhooks::cancel_races_the_end,
    quick webhooks::cancel_of_five_thousand_waiting_images,
    slow webhooks::receivers_hang,
    quick api::same_upload_twenty_times_at_once,
    slow api::three_hundred_of_two_thousand_are_corrected,
];
