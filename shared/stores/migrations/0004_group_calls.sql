-- Calls on groups are remembered apart from messages, also those that changed nothing; and a change whose place something else
-- has taken gets another one.

-- A member's newest calls on a group, each as 8 bytes of its id and 8 of its content. Null in a direct conversation.
ALTER TABLE members ADD COLUMN calls bytea;

-- What was done, and of an update, which fields have another value now.
ALTER TYPE group_change ADD ATTRIBUTE action text, ADD ATTRIBUTE updated text[];
ALTER TABLE outbox ADD COLUMN updated text[] NOT NULL DEFAULT '{}';

-- Admins of the groups that are there may manage invites if they may add members: chat_domain::Permission::ManageInvites.
UPDATE conversations SET admin_may = admin_may | 256 WHERE kind = 'group' AND admin_may & 2 <> 0;

-- Members of a conversation whom one call names, or tells of each other, at most: chat_domain::NAMED_MEMBERS_MAX.
CREATE FUNCTION named_members_max() RETURNS int
LANGUAGE sql IMMUTABLE AS $$ SELECT 100 $$;

-- What a call that tells a conversation's members takes out of a budget, as a multiple of a call that tells as many as it names.
CREATE FUNCTION reach(p_members int) RETURNS int
LANGUAGE sql IMMUTABLE AS $$ SELECT greatest(1, p_members / named_members_max()) $$;

-- The same for a change of a group, which has been made.
CREATE FUNCTION charge_change(p_conversation uuid, p_actor text, p_call_us bigint) RETURNS void
LANGUAGE sql AS $$
    SELECT use_budget(p_actor, 'write', p_call_us * (
        SELECT reach(c.member_count) FROM conversations c WHERE c.conversation_id = p_conversation))
$$;

-- Who is told at once of what a member of a conversation does; the users of a direct one, or null. Null: all members, who are
-- too many to name.
CREATE OR REPLACE FUNCTION told(p_conversation uuid, p_low text, p_high text, p_actor text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_low IS NOT NULL THEN
        RETURN members_told(p_low, p_high, p_actor);
    END IF;
    IF (SELECT c.member_count FROM conversations c WHERE c.conversation_id = p_conversation) > named_members_max() THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(SELECT m.user_id FROM members m WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL ORDER BY 1);
END $$;

-- Ends memberships of a conversation, which is locked. Answers where that stands in the users' feeds, by user id.
CREATE OR REPLACE FUNCTION end_memberships(p_conversation uuid, p_users text[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    c_kept_for CONSTANT interval := interval '30 days';
    v_now      timestamptz;
    v_floor    bigint;
    v_user     text;
    v_gone     uuid[];
BEGIN
    PERFORM FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = ANY (p_users)
    ORDER BY m.user_id FOR NO KEY UPDATE;
    PERFORM lock_feeds(p_users);
    v_now := clock_timestamp();
    UPDATE feeds f SET revision = f.revision + 1, conversation_count = f.conversation_count - 1 WHERE f.user_id = ANY (p_users);
    UPDATE conversations c SET member_count = c.member_count - cardinality(p_users) WHERE c.conversation_id = p_conversation;
    UPDATE members m SET ended_at = v_now, role = 'member', feed_revision = f.revision
    FROM feeds f
    WHERE m.conversation_id = p_conversation AND m.user_id = ANY (p_users) AND f.user_id = m.user_id;
    -- What ended long ago leaves the feed. Locked rows are passed over: who holds them may wait for this feed.
    FOREACH v_user IN ARRAY p_users LOOP
        SELECT array_agg(g.conversation_id), max(g.feed_revision) INTO v_gone, v_floor FROM (
            SELECT m.conversation_id, m.feed_revision FROM members m
            WHERE m.user_id = v_user AND m.feed_revision IS NOT NULL AND m.ended_at < v_now - c_kept_for
            ORDER BY m.ended_at LIMIT 100
            FOR NO KEY UPDATE SKIP LOCKED
        ) g;
        IF v_gone IS NOT NULL THEN
            UPDATE members m SET feed_revision = NULL WHERE m.user_id = v_user AND m.conversation_id = ANY (v_gone);
            UPDATE feeds f SET floor_revision = greatest(f.floor_revision, v_floor) WHERE f.user_id = v_user;
        END IF;
    END LOOP;
    RETURN ARRAY(SELECT f.revision FROM feeds f WHERE f.user_id = ANY (p_users) ORDER BY f.user_id);
END $$;

-- A change of a group that was not made.
CREATE OR REPLACE FUNCTION group_unchanged(p_outcome text, p_conversation uuid DEFAULT NULL, p_wait_us bigint DEFAULT NULL)
RETURNS group_change
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_outcome, p_conversation, NULL::bigint, NULL::bigint, NULL::timestamptz, '{}'::text[], '', '', '{}'::text[],
           '{}'::text[], '{}'::bigint[], '{}'::text[], p_wait_us, '', '{}'::text[]
$$;

-- Remembers a call of a member, whose row is locked.
CREATE FUNCTION remember_call(p_conversation uuid, p_actor text, p_op bytea, p_content bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c_calls_max  CONSTANT int := 16;
    c_call_bytes CONSTANT int := 16;
BEGIN
    UPDATE members m SET calls = substring(p_op || p_content || coalesce(m.calls, '') FROM 1 FOR c_calls_max * c_call_bytes)
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
END $$;

-- A call that finds all as it asks for: that is remembered, so that it does nothing either when it is repeated later. Last in a
-- transaction.
CREATE FUNCTION group_as_asked(p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_call_us bigint)
RETURNS group_change
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM remember_call(p_conversation, p_actor, p_op, p_content);
    RETURN group_unchanged_charged('ok', p_conversation, p_actor, p_call_us);
END $$;

-- What every change of a group begins with: waits for its turn, locks, then looks who the actor is and whether they may. Null
-- when they may; the conversation stays locked. p_op is null for a call that is not remembered here.
CREATE OR REPLACE FUNCTION enter_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql AS $$
DECLARE
    c_call_bytes   CONSTANT int := 16;
    v_wait         bigint;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_position     int;
BEGIN
    -- A stranger neither waits for the lock nor holds it up, nor does who is no longer a member, unless they repeat a call;
    -- members are looked at again under it.
    PERFORM FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor
      AND (m.ended_at IS NULL OR position(p_op IN m.calls) > 0);
    IF NOT FOUND THEN
        RETURN group_unchanged('missing');
    END IF;
    v_wait := budget_wait(p_actor, 'write', p_burst_us);
    IF v_wait > 0 THEN
        RETURN group_unchanged('limited', p_conversation, v_wait);
    END IF;
    SELECT * INTO v_conversation FROM conversations c
    WHERE c.conversation_id = p_conversation AND c.kind = 'group' FOR NO KEY UPDATE;
    SELECT * INTO v_member FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor FOR NO KEY UPDATE;
    v_position := position(p_op IN v_member.calls);
    IF v_position > 0 AND (v_position - 1) % c_call_bytes = 0 THEN
        IF substring(v_member.calls FROM v_position + 8 FOR 8) = p_content THEN
            RETURN group_unchanged_charged('repeated', p_conversation, p_actor, p_call_us);
        END IF;
        IF v_member.ended_at IS NULL AND v_conversation.deleted_at IS NULL THEN
            RETURN group_unchanged_charged('reused', p_conversation, p_actor, p_call_us);
        END IF;
    END IF;
    IF v_conversation.conversation_id IS NULL OR v_member.user_id IS NULL OR v_conversation.deleted_at IS NOT NULL
       OR v_member.ended_at IS NOT NULL
    THEN
        RETURN group_unchanged_charged('missing', p_conversation, p_actor, p_call_us);
    END IF;
    IF NOT may(v_member.role, v_conversation.member_may, v_conversation.admin_may, p_needs) THEN
        RETURN group_unchanged_charged('not_permitted', p_conversation, p_actor, p_call_us);
    END IF;
    RETURN NULL;
END $$;

-- Gives a change of a group, which is locked, its place: the next revision, an entry for the timeline, and a memory of the
-- actor's call. The members are read as they are now, so this comes last.
CREATE OR REPLACE FUNCTION place_change(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_action text, p_users text[], p_name text, p_role text
) RETURNS group_change
LANGUAGE plpgsql AS $$
DECLARE
    v_change group_change := group_unchanged('ok', p_conversation);
BEGIN
    v_change.action := p_action;
    v_change.user_ids := p_users;
    v_change.name := p_name;
    v_change.role := p_role;
    v_change.told := told(p_conversation, NULL, NULL, p_actor);
    UPDATE conversations c SET
        revision = c.revision + 1,
        allocated_at = greatest(c.allocated_at, date_trunc('milliseconds', clock_timestamp()))
    WHERE c.conversation_id = p_conversation
    RETURNING c.revision, c.message_count, c.allocated_at INTO v_change.revision, v_change.after_seq, v_change.allocated_at;
    UPDATE groups g SET state_revision = v_change.revision WHERE g.conversation_id = p_conversation;
    INSERT INTO outbox (conversation_id, revision, after_seq, actor_id, action, user_ids, name, role, allocated_at)
    VALUES (p_conversation, v_change.revision, v_change.after_seq, p_actor, p_action, p_users, p_name, p_role,
            v_change.allocated_at);
    PERFORM remember_call(p_conversation, p_actor, p_op, p_content);
    RETURN v_change;
END $$;

-- The sequencer went back, and the timeline holds more than it knows: what it had forgotten was said before those came whose join
-- it may have handed out since, so it is no more unread to them than it was, and not theirs to see where history is hidden.
-- That may be more than those: who came shortly before it went back is among them.
CREATE FUNCTION forget_for_newcomers(p_conversation uuid, p_above_revision bigint, p_floor_revision bigint, p_floor_seq bigint)
RETURNS void
LANGUAGE sql AS $$
    UPDATE members m SET
        caught_up_seq         = greatest(m.caught_up_seq, p_floor_seq),
        visible_from_seq      = CASE WHEN m.visible_from_revision > 0
            THEN greatest(m.visible_from_seq, p_floor_seq) ELSE m.visible_from_seq END,
        visible_from_revision = CASE WHEN m.visible_from_revision > 0
            THEN greatest(m.visible_from_revision, p_floor_revision) ELSE m.visible_from_revision END
    WHERE m.conversation_id = p_conversation AND m.joined_revision > p_above_revision AND m.ended_at IS NULL
$$;

-- Gives a change another place, above everything: something else stands in the one that it had. That happens after the
-- sequencer went back, when p_floor_revision and p_floor_seq, which the timeline holds, are above what it had handed out; and
-- where a function that knows nothing of the outbox closed the place. No row: somebody else was faster.
CREATE FUNCTION lift_change(p_conversation uuid, p_revision bigint, p_floor_revision bigint, p_floor_seq bigint)
RETURNS SETOF outbox
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_before conversations%ROWTYPE;
    v_now    conversations%ROWTYPE;
BEGIN
    SELECT * INTO v_before FROM conversations c WHERE c.conversation_id = p_conversation FOR NO KEY UPDATE;
    PERFORM FROM outbox o WHERE o.conversation_id = p_conversation AND o.revision = p_revision;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE conversations c SET
        revision      = greatest(c.revision, p_floor_revision) + 1,
        message_count = greatest(c.message_count, p_floor_seq),
        allocated_at  = greatest(c.allocated_at, date_trunc('milliseconds', clock_timestamp()))
    WHERE c.conversation_id = p_conversation RETURNING * INTO v_now;
    UPDATE groups g SET state_revision = v_now.revision WHERE g.conversation_id = p_conversation;
    IF p_floor_revision > v_before.revision OR p_floor_seq > v_before.message_count THEN
        PERFORM forget_for_newcomers(p_conversation, v_before.closed_revision, p_floor_revision, p_floor_seq);
    END IF;
    RETURN QUERY UPDATE outbox o SET
        revision = v_now.revision, after_seq = v_now.message_count, allocated_at = v_now.allocated_at
    WHERE o.conversation_id = p_conversation AND o.revision = p_revision RETURNING o.*;
END $$;

-- Changes what a group shows or how it works; null leaves a field as it is. Nobody but the owner grants what they may not do
-- themselves.
CREATE OR REPLACE FUNCTION update_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_name text, p_description text,
    p_avatar_url text, p_shows_history boolean, p_member_may int, p_admin_may int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change     group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_group      groups%ROWTYPE;
    v_member_may int;
    v_admin_may  int;
    v_role       text;
    v_updated    text[];
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    SELECT * INTO v_group FROM groups g WHERE g.conversation_id = p_conversation;
    SELECT c.member_may, c.admin_may INTO v_member_may, v_admin_may FROM conversations c WHERE c.conversation_id = p_conversation;
    SELECT m.role INTO v_role FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    IF NOT may(v_role, v_member_may, v_admin_may,
               coalesce(p_member_may & ~v_member_may, 0) | coalesce(p_admin_may & ~v_admin_may, 0))
    THEN
        RETURN group_unchanged_charged('not_permitted', p_conversation, p_actor, p_call_us);
    END IF;
    -- What differs, by the paths of UpdateGroup. Null differs from nothing.
    v_updated := ARRAY(
        SELECT u.path FROM (VALUES
            (1, 'name', p_name <> v_group.name), (2, 'description', p_description <> v_group.description),
            (3, 'avatar_url', p_avatar_url <> v_group.avatar_url),
            (4, 'settings.member_permissions', p_member_may <> v_member_may),
            (5, 'settings.admin_permissions', p_admin_may <> v_admin_may),
            (6, 'settings.shows_history', p_shows_history <> v_group.shows_history)
        ) u (place, path, differs) WHERE u.differs ORDER BY u.place);
    IF v_updated = '{}' THEN
        RETURN group_as_asked(p_conversation, p_actor, p_op, p_content, p_call_us);
    END IF;
    UPDATE groups g SET
        name = coalesce(p_name, g.name), description = coalesce(p_description, g.description),
        avatar_url = coalesce(p_avatar_url, g.avatar_url), shows_history = coalesce(p_shows_history, g.shows_history)
    WHERE g.conversation_id = p_conversation;
    UPDATE conversations c SET
        member_may = coalesce(p_member_may, c.member_may), admin_may = coalesce(p_admin_may, c.admin_may)
    WHERE c.conversation_id = p_conversation;
    IF 'name' = ANY (v_updated) THEN
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'renamed', '{}', p_name, '');
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'updated', '{}', '', '');
    END IF;
    v_change.updated := v_updated;
    UPDATE outbox o SET updated = v_updated WHERE o.conversation_id = p_conversation AND o.revision = v_change.revision;
    PERFORM charge_change(p_conversation, p_actor, p_call_us);
    RETURN v_change;
END $$;

-- Adds those of these users who are the actor's friends and no members yet.
CREATE OR REPLACE FUNCTION add_group_members(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_users text[], p_members_max int,
    p_conversations_max int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_new    text[];
    v_users  text[];
    v_left   text[];
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    v_new := ARRAY(
        SELECT u FROM unnest(p_users) u
        WHERE NOT EXISTS (
            SELECT FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = u AND m.ended_at IS NULL)
        ORDER BY u COLLATE "C");
    v_users := friends_among(p_actor, v_new);
    IF (SELECT c.member_count FROM conversations c WHERE c.conversation_id = p_conversation) + cardinality(v_users)
       > p_members_max
    THEN
        RETURN group_unchanged_charged('full', p_conversation, p_actor, p_call_us);
    END IF;
    v_users := begin_memberships(p_conversation, v_users, p_conversations_max);
    v_left := ARRAY(SELECT u FROM unnest(v_new) u WHERE NOT u = ANY (v_users) ORDER BY u COLLATE "C");
    IF cardinality(v_users) = 0 THEN
        v_change := group_unchanged('ok', p_conversation);
        PERFORM remember_call(p_conversation, p_actor, p_op, p_content);
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'members_added', v_users, '', '');
        v_change.feed_users := v_users;
        v_change.feed_revisions := ARRAY(
            SELECT m.feed_revision FROM members m
            WHERE m.conversation_id = p_conversation AND m.user_id = ANY (v_users) ORDER BY m.user_id);
    END IF;
    v_change.left_out := v_left;
    PERFORM charge_change(p_conversation, p_actor, p_call_us);
    RETURN v_change;
END $$;

-- Gives a member a role: 'member' or 'admin'; or 'owner', by the owner alone, who is an admin then.
CREATE OR REPLACE FUNCTION set_group_role(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_user text, p_role text, p_call_us bigint,
    p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_own    text;
    v_role   text;
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    SELECT m.role INTO v_own FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    SELECT m.role INTO v_role FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_user AND m.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN group_unchanged_charged('no_member', p_conversation, p_actor, p_call_us);
    END IF;
    IF rank_of(v_role) >= rank_of(v_own) OR p_role = 'owner' AND v_own <> 'owner' THEN
        RETURN group_unchanged_charged('not_permitted', p_conversation, p_actor, p_call_us);
    END IF;
    IF v_role = p_role THEN
        RETURN group_as_asked(p_conversation, p_actor, p_op, p_content, p_call_us);
    END IF;
    PERFORM FROM members m WHERE m.conversation_id = p_conversation AND m.user_id IN (p_actor, p_user)
    ORDER BY m.user_id FOR NO KEY UPDATE;
    UPDATE members m SET role = p_role WHERE m.conversation_id = p_conversation AND m.user_id = p_user;
    IF p_role = 'owner' THEN
        UPDATE members m SET role = 'admin' WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
        v_change := place_change(
            p_conversation, p_actor, p_op, p_content, 'ownership_transferred', ARRAY[p_user], '', p_role);
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'role_changed', ARRAY[p_user], '', p_role);
    END IF;
    PERFORM charge_change(p_conversation, p_actor, p_call_us);
    RETURN v_change;
END $$;

-- Memberships that have ended, by user id, with where that stands in their users' feeds, and whether there are more to end.
CREATE TYPE ended_memberships AS (user_ids text[], feed_revisions bigint[], has_more boolean);

-- Ends memberships of a group that is deleted: no more than a call names, so that no transaction holds more feeds. Null where none
-- is left, or where somebody else is at it and p_waits is not set.
CREATE FUNCTION end_deleted(p_conversation uuid, p_waits boolean) RETURNS ended_memberships
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_ended ended_memberships;
BEGIN
    IF p_waits THEN
        PERFORM FROM conversations c
        WHERE c.conversation_id = p_conversation AND c.deleted_at IS NOT NULL FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM conversations c
        WHERE c.conversation_id = p_conversation AND c.deleted_at IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    v_ended.user_ids := ARRAY(
        SELECT m.user_id FROM members m WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL
        ORDER BY m.user_id LIMIT named_members_max() + 1);
    IF v_ended.user_ids = '{}' THEN
        RETURN NULL;
    END IF;
    v_ended.has_more := cardinality(v_ended.user_ids) > named_members_max();
    v_ended.user_ids := v_ended.user_ids[1:named_members_max()];
    v_ended.feed_revisions := end_memberships(p_conversation, v_ended.user_ids);
    RETURN v_ended;
END $$;

-- Deletes a group: from here on it is not there for any call. Its places stay, and what they hold; what memberships are left
-- end later.
CREATE OR REPLACE FUNCTION delete_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_ended  ended_memberships;
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    v_change := group_unchanged('ok', p_conversation);
    -- Before any membership ends: those that end later than this, the deletion has ended.
    UPDATE conversations c SET deleted_at = clock_timestamp() WHERE c.conversation_id = p_conversation
    RETURNING date_trunc('milliseconds', c.deleted_at) INTO v_change.allocated_at;
    v_ended := end_deleted(p_conversation, true);
    v_change.feed_users := v_ended.user_ids;
    v_change.feed_revisions := v_ended.feed_revisions;
    v_change.told := CASE WHEN v_ended.has_more THEN NULL ELSE '{}' END;
    PERFORM remember_call(p_conversation, p_actor, p_op, p_content);
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- Keeps what was found out about a conversation: that all places up to a revision are taken, that all seqs up to one are
-- settled, and which seqs no message has. Where p_newest_at is set, every place was found taken while p_message_count was the
-- newest seq: then that is when something was last said.
CREATE OR REPLACE FUNCTION seal(
    p_conversation uuid, p_closed_revision bigint, p_closed_seq bigint, p_uncounted bigint[], p_message_count bigint,
    p_newest_at timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM conversations c WHERE c.conversation_id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO uncounted AS u (conversation_id, chunk, bits)
    SELECT p_conversation, s / 1024, bit_or(bit_of(s)) FROM unnest(p_uncounted) s GROUP BY 2 ORDER BY 2
    ON CONFLICT (conversation_id, chunk) DO UPDATE SET bits = u.bits | EXCLUDED.bits;
    UPDATE conversations c SET
        closed_revision = greatest(c.closed_revision, p_closed_revision),
        closed_seq = greatest(c.closed_seq, p_closed_seq),
        uncounted_seq = greatest(c.uncounted_seq, (SELECT max(s) FROM unnest(p_uncounted) s)),
        last_activity_at = CASE
            WHEN p_newest_at IS NOT NULL AND c.message_count = p_message_count THEN p_newest_at ELSE c.last_activity_at END
    WHERE c.conversation_id = p_conversation;
END $$;

-- The same, and takes the rows of these places from the outbox: what they hold was read from a majority of the timeline.
CREATE FUNCTION seal_with_outbox(
    p_conversation uuid, p_closed_revision bigint, p_closed_seq bigint, p_uncounted bigint[], p_message_count bigint,
    p_newest_at timestamptz, p_written bigint[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM seal(p_conversation, p_closed_revision, p_closed_seq, p_uncounted, p_message_count, p_newest_at);
    DELETE FROM outbox o WHERE o.conversation_id = p_conversation AND o.revision = ANY (p_written);
END $$;
