//! Syncs of groups, on real databases.

use super::*;

#[tokio::test]
async fn who_comes_above_a_place_that_is_being_written_starts_once() {
    let scene = Scene::new().await;
    for friend in ["alice", "nina"] {
        scene.fixture.befriend("olga", friend).await;
    }
    let group = scene.stores.make_group("olga", &["alice"], false).await;
    // Revision 2 is not written yet, and hidden from who comes with revision 3.
    scene.stores.place(group, "alice", "on its way").await;
    scene.stores.add_to_group(group, "olga", "nina").await;
    let operation: SyncConversations = scene.fixture.operation();
    let sync = async |cursor| {
        let answer = call(&operation, "nina", request([cursor])).await.unwrap();
        answer.response.conversations.into_iter().next().unwrap()
    };
    let started = sync(start(group)).await;
    assert!(started.reset);
    assert_eq!(reached(&started), 2, "the edge of what they may see");
    let next = sync(started.cursor.unwrap()).await;
    assert!(!next.reset, "{next:?}");
}
