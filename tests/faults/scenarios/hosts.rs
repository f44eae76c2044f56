//! Requests that meet others' slow hosts or large catalogues.

use std::time::Instant;

use serde_json::json;

use crate::support::database;
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::world::World;

/// Two hundred images of a host that does not answer, then three of another host.
pub async fn slow_host_beside_a_fast_one(world: &mut World) {
    let _server = world.serve(&[]).await;
    let slow = world.upload(200, Answer::Held).await;
    world.origin.held(8).await;
    three_images_are_quick(world).await;
    world.origin.open();
    world.succeeded(&slow).await;
}

/// Three images behind two thousand of a fast host.
pub async fn small_request_behind_a_large_one(world: &mut World) {
    let _server = world.serve(&[]).await;
    let large = world.upload(2_000, Answer::Image).await;
    world.ended(20).await;
    three_images_are_quick(world).await;
    let ended = format!("SELECT count(*) FROM images WHERE request_id = '{large}' AND finished_at IS NOT NULL");
    let before = database::number(&world.database_url, &ended).await;
    assert!(before < 2_000, "the small request waited for all of the large one");
    world.note(format!("{before} of the large one had ended"));
    world.succeeded(&large).await;
}

async fn three_images_are_quick(world: &mut World) {
    let other = Origin::start().await;
    let urls: Vec<String> =
        (0..3).map(|n| other.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(96, 64, n)))).collect();
    let uploaded = Instant::now();
    let id = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
    world.succeeded(&id).await;
    let took = uploaded.elapsed().as_secs_f64();
    assert!(took < 15.0, "three images of another host took {took:.1} s");
    world.note(format!("three images took {took:.1} s"));
}
