//! A group of more members than a call names: everybody is told of everything once, through the queue, and a deletion holds at
//! once for all, whenever their memberships end.

use chat_client::contract::v1::{
    AddGroupMembersRequest, ClearConversationHistoryRequest, Conversation, ConversationCursor, ConversationSettings,
    CreateGroupRequest, DeleteGroupRequest, GetConversationRequest, GetUnreadTotalsRequest, GroupAction, GroupAdders,
    HideConversationRequest, LeaveGroupRequest, ListConversationsRequest, ListGroupMembersRequest, ListMessagesRequest,
    ListReadPositionsRequest, LiveEvent, MarkConversationDeliveredRequest, MarkConversationReadRequest,
    MarkConversationUnreadRequest, MembershipEndReason, RemoveGroupMemberRequest, SendMessageRequest,
    SyncConversationsRequest, UpdateConversationSettingsRequest, UpdateGroupRequest, UpdateUserSettingsRequest,
    UserSettings, live_event,
};
use chat_client::contract::{FieldMask, Rpc};
use chat_client::{ChatClient, Code};
use chat_domain::{GROUP_MEMBERS_PER_CALL_MAX, MEMBERS_PER_DELIVERY};
use live_event::Event;

use crate::harness::{Device, Stack, eventually, refusal};

/// Enough that they are told in two ranges.
const MEMBERS: usize = 1_050;

fn member(number: usize) -> String {
    format!("member{number:05}")
}

fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}

/// A group of `olga` and so many members, who let anybody add them.
async fn group_of(stack: &Stack, members: usize) -> (ChatClient, String) {
    let olga = stack.client("olga");
    sqlx::query("INSERT INTO user_settings (user_id, group_adders) SELECT unnest($1::text[]), 'anyone'")
        .bind((0..members).map(member).collect::<Vec<_>>())
        .execute(&mut stack.fixture.connect_postgres().await)
        .await
        .unwrap();
    let request = CreateGroupRequest {
        request_id: "create".to_owned(),
        name: "Everybody".to_owned(),
        user_ids: vec![member(0)],
        ..CreateGroupRequest::default()
    };
    let created = olga.call(request).await.unwrap().conversation.unwrap();
    let others: Vec<String> = (1..members).map(member).collect();
    for (number, some) in others.chunks(GROUP_MEMBERS_PER_CALL_MAX).enumerate() {
        let added = add(&olga, &created.conversation_id, some, &format!("add-{number}")).await;
        assert!(added.members.len() <= 101, "the first ones, and who asks");
    }
    (olga, created.conversation_id)
}

async fn add(olga: &ChatClient, group: &str, users: &[String], request_id: &str) -> Conversation {
    let request = AddGroupMembersRequest {
        conversation_id: group.to_owned(),
        user_ids: users.to_vec(),
        request_id: request_id.to_owned(),
    };
    let added = olga.call(request).await.unwrap();
    assert_eq!(added.not_added_user_ids, [""; 0]);
    added.conversation.unwrap()
}

async fn say(client: &ChatClient, group: &str, text: &str) {
    let request = SendMessageRequest {
        conversation_id: group.to_owned(),
        client_message_id: text.replace(' ', "-"),
        text: text.to_owned(),
        ..SendMessageRequest::default()
    };
    client.call(request).await.unwrap();
}

/// The next event that is not of the group's making, which may come late through the queue.
async fn next(device: &mut Device) -> LiveEvent {
    loop {
        let told = device.next().await;
        match &told.event {
            Some(Event::GroupChanged(changed)) if changed.change.as_ref().unwrap().user_ids.len() > 1 => {}
            _ => return told,
        }
    }
}

async fn text_of_next(device: &mut Device) -> String {
    match next(device).await.event.unwrap() {
        Event::MessageSent(message) => message.text,
        other => panic!("{other:?}"),
    }
}

/// What the next event says of a change: what happened, how many members there are, and those whom it is about.
async fn change_of_next(device: &mut Device) -> (GroupAction, i32, Vec<String>) {
    match next(device).await.event.unwrap() {
        Event::GroupChanged(changed) => {
            let members = changed.members.into_iter().map(|member| member.user_id).collect();
            let action = changed.change.unwrap().action();
            (action, changed.group.unwrap().member_count, members)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_member_of_a_large_group_is_told_once_and_nobody_else() {
    let stack = Stack::start().await;
    const { assert!(MEMBERS > MEMBERS_PER_DELIVERY) };
    let (olga, group) = group_of(&stack, MEMBERS).await;
    // In the first range, at its end, in the second one, and the owner, who comes last.
    let names = [
        member(0),
        member(999),
        member(1_000),
        member(MEMBERS - 1),
        "olga".to_owned(),
    ];
    let mut devices = Vec::new();
    for name in &names {
        devices.push(stack.device(name).await);
    }
    let mut stranger = stack.device("nina").await;

    for text in ["one", "two"] {
        say(&olga, &group, text).await;
        for device in &mut devices {
            assert_eq!(text_of_next(device).await, text);
        }
    }

    // How far one has read is told to oneself alone, what has arrived to nobody, and neither is kept for others.
    let reader = stack.client(&member(0));
    let read = MarkConversationReadRequest {
        conversation_id: group.clone(),
        read_seq: 2,
    };
    reader.call(read).await.unwrap();
    assert!(matches!(
        next(&mut devices[0]).await.event,
        Some(Event::ReadPositionMoved(_))
    ));
    let arrived = MarkConversationDeliveredRequest {
        conversation_id: group.clone(),
        delivered_seq: 2,
    };
    let arrived = stack.client(&member(1)).call(arrived).await.unwrap();
    assert_eq!(arrived.delivered_seq, 0);

    // Changes of the group, with those whom they are about, wherever they stand in its list.
    stack.fixture.befriend("olga", "nina").await;
    let added = add(&olga, &group, &["nina".to_owned()], "nina").await;
    let count = i32::try_from(MEMBERS).unwrap() + 2;
    assert_eq!(added.group.unwrap().member_count, count);
    for device in &mut devices {
        let (action, members, about) = change_of_next(device).await;
        assert_eq!((action, members), (GroupAction::MembersAdded, count));
        assert_eq!(about, ["nina", "olga"]);
    }
    match stranger.event().await {
        Event::ConversationOpened(opened) => {
            assert_eq!(opened.conversation.unwrap().group.unwrap().member_count, count);
        }
        other => panic!("{other:?}"),
    }

    let rename = UpdateGroupRequest {
        conversation_id: group.clone(),
        request_id: "rename".to_owned(),
        name: "All".to_owned(),
        update_mask: Some(mask("name")),
        ..UpdateGroupRequest::default()
    };
    olga.call(rename).await.unwrap();
    let removal = RemoveGroupMemberRequest {
        conversation_id: group.clone(),
        user_id: "nina".to_owned(),
        request_id: "remove".to_owned(),
    };
    olga.call(removal).await.unwrap();
    let leave = LeaveGroupRequest {
        conversation_id: group.clone(),
        request_id: "leave".to_owned(),
    };
    stack.client(&member(2)).call(leave).await.unwrap();
    for device in &mut devices {
        let mut told = Vec::new();
        for _ in 0..3 {
            let (action, ..) = change_of_next(device).await;
            told.push(action);
        }
        // Each came through the queue on its own, in whatever order.
        told.sort_unstable();
        let mut expected = [
            GroupAction::Renamed,
            GroupAction::MemberRemoved,
            GroupAction::MemberLeft,
        ];
        expected.sort_unstable();
        assert_eq!(told, expected);
    }
    // Who was removed may have been told of what came before, and of nothing after.
    loop {
        match stranger.event().await {
            Event::MembershipEnded(ended) => {
                assert_eq!(ended.reason(), MembershipEndReason::Removed);
                break;
            }
            Event::GroupChanged(changed) => assert_eq!(changed.change.unwrap().action(), GroupAction::Renamed),
            other => panic!("{other:?}"),
        }
    }

    say(&olga, &group, "after all that").await;
    for device in &mut devices {
        assert_eq!(text_of_next(device).await, "after all that");
    }
}

/// Asserts that a call of somebody whose membership has not ended yet is refused as for a group that never was.
async fn assert_missing<R: Rpc>(client: &ChatClient, request: R) {
    let refused = refusal(client, request).await;
    assert_eq!(
        refused,
        (Code::NotFound, "CONVERSATION_NOT_FOUND".to_owned()),
        "{}",
        R::NAME
    );
}

/// Nothing of a deleted group is there for a member, whether or not their membership has ended by now.
async fn assert_nothing_is_left(client: &ChatClient, group: &str) {
    let conversation_id = group.to_owned();
    assert_missing(
        client,
        GetConversationRequest {
            conversation_id: conversation_id.clone(),
        },
    )
    .await;
    let list = ListMessagesRequest {
        conversation_id: conversation_id.clone(),
        ..ListMessagesRequest::default()
    };
    assert_missing(client, list).await;
    let send = SendMessageRequest {
        conversation_id: conversation_id.clone(),
        client_message_id: "late".to_owned(),
        text: "late".to_owned(),
        ..SendMessageRequest::default()
    };
    assert_missing(
        client,
        SendMessageRequest {
            retry: true,
            ..send.clone()
        },
    )
    .await;
    assert_missing(client, send).await;
    let read = MarkConversationReadRequest {
        conversation_id: conversation_id.clone(),
        read_seq: 1,
    };
    assert_missing(client, read).await;
    let delivered = MarkConversationDeliveredRequest {
        conversation_id: conversation_id.clone(),
        delivered_seq: 1,
    };
    assert_missing(client, delivered).await;
    let unread = MarkConversationUnreadRequest {
        conversation_id: conversation_id.clone(),
        settings_revision: 0,
    };
    assert_missing(client, unread).await;
    let pin = UpdateConversationSettingsRequest {
        conversation_id: conversation_id.clone(),
        settings: Some(ConversationSettings {
            pinned: true,
            ..ConversationSettings::default()
        }),
        update_mask: Some(mask("pinned")),
        settings_revision: 0,
    };
    assert_missing(client, pin).await;
    let clear = ClearConversationHistoryRequest {
        conversation_id: conversation_id.clone(),
        through_seq: 1,
    };
    assert_missing(client, clear).await;
    let hide = HideConversationRequest {
        conversation_id: conversation_id.clone(),
        through_seq: 1,
    };
    assert_missing(client, hide).await;
    let positions = ListReadPositionsRequest {
        conversation_id: conversation_id.clone(),
        ..ListReadPositionsRequest::default()
    };
    assert_missing(client, positions).await;
    let members = ListGroupMembersRequest {
        conversation_id: conversation_id.clone(),
        ..ListGroupMembersRequest::default()
    };
    assert_missing(client, members).await;
    let leave = LeaveGroupRequest {
        conversation_id: conversation_id.clone(),
        request_id: "too-late".to_owned(),
    };
    assert_missing(client, leave).await;

    let listed = client.call(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(listed.conversations, []);
    let totals = client.call(GetUnreadTotalsRequest {}).await.unwrap();
    assert_eq!(totals.messages, 0);
    let cursor = ConversationCursor {
        conversation_id: conversation_id.clone(),
        ..ConversationCursor::default()
    };
    let sync = SyncConversationsRequest {
        cursors: vec![cursor],
        ..SyncConversationsRequest::default()
    };
    let synced = client.call(sync).await.unwrap();
    assert_eq!(synced.lost_conversation_ids, [conversation_id]);
}

async fn delete(olga: &ChatClient, group: &str) {
    let request = DeleteGroupRequest {
        conversation_id: group.to_owned(),
        request_id: "delete".to_owned(),
    };
    olga.call(request).await.unwrap();
}

/// How many members of a group there still are, by its count and by their rows.
async fn left_of(stack: &Stack, group: &str) -> (i32, i64) {
    sqlx::query_as(
        "SELECT c.member_count, (SELECT count(*) FROM members m WHERE m.conversation_id = c.conversation_id AND m.ended_at IS NULL)
         FROM conversations c WHERE c.conversation_id = $1::uuid",
    )
    .bind(group)
    .fetch_one(&mut stack.fixture.connect_postgres().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_deletion_of_a_large_group_holds_at_once_and_is_told_to_all() {
    let stack = Stack::start().await;
    let (olga, group) = group_of(&stack, 250).await;
    let mut first = stack.device(&member(0)).await;
    let mut last = stack.device(&member(249)).await;
    say(&olga, &group, "one").await;
    for device in [&mut first, &mut last] {
        assert_eq!(text_of_next(device).await, "one");
    }
    delete(&olga, &group).await;
    assert_nothing_is_left(&stack.client(&member(248)), &group).await;
    for device in [&mut first, &mut last] {
        let told = next(device).await;
        assert!(told.feed_revision > 0);
        match told.event.unwrap() {
            Event::MembershipEnded(ended) => assert_eq!(ended.reason(), MembershipEndReason::GroupDeleted),
            other => panic!("{other:?}"),
        }
    }
    eventually(async || left_of(&stack, &group).await, |left| *left == (0, 0)).await;
    assert_nothing_is_left(&stack.client(&member(248)), &group).await;
}

#[tokio::test]
async fn a_deletion_of_which_nothing_reached_the_queue_goes_on_with_whoever_meets_it() {
    let stack = Stack::start().await;
    let (_, group) = group_of(&stack, 250).await;
    // As if the function had died right after its call of Postgres.
    sqlx::query("UPDATE conversations SET deleted_at = clock_timestamp() WHERE conversation_id = $1::uuid")
        .bind(&group)
        .execute(&mut stack.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(left_of(&stack, &group).await, (251, 251));
    // Each sync that finds it gone ends a hundred of them.
    for _ in 0..3 {
        assert_nothing_is_left(&stack.client(&member(249)), &group).await;
    }
    eventually(async || left_of(&stack, &group).await, |left| *left == (0, 0)).await;
}

#[tokio::test]
async fn a_group_that_grows_and_shrinks_over_the_limit_tells_all_the_same() {
    let stack = Stack::start().await;
    let (olga, group) = group_of(&stack, 99).await;
    let mut device = stack.device(&member(50)).await;
    say(&olga, &group, "named").await;
    assert_eq!(text_of_next(&mut device).await, "named");
    let anyone = UpdateUserSettingsRequest {
        settings: Some(UserSettings {
            group_adders: GroupAdders::Anyone.into(),
        }),
        update_mask: Some(mask("group_adders")),
    };
    stack.client("zoe").call(anyone).await.unwrap();
    add(&olga, &group, &["zoe".to_owned()], "zoe").await;
    assert_eq!(change_of_next(&mut device).await.2, ["olga", "zoe"]);
    say(&olga, &group, "too many to name").await;
    assert_eq!(text_of_next(&mut device).await, "too many to name");
    let leave = LeaveGroupRequest {
        conversation_id: group.clone(),
        request_id: "leave".to_owned(),
    };
    stack.client("zoe").call(leave).await.unwrap();
    assert_eq!(change_of_next(&mut device).await.0, GroupAction::MemberLeft);
    say(&olga, &group, "named again").await;
    assert_eq!(text_of_next(&mut device).await, "named again");
}
