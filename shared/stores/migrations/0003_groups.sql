-- Groups: conversations of any users with roles, and the changes that live here and have a place in the timeline.

ALTER TABLE conversations
    DROP CONSTRAINT conversations_kind_check,
    ADD CONSTRAINT conversations_kind_check CHECK (kind IN ('direct', 'group')),
    ALTER COLUMN low_user_id DROP NOT NULL,
    ALTER COLUMN high_user_id DROP NOT NULL,
    ADD CONSTRAINT conversations_pair_check
        CHECK ((kind = 'direct') = (low_user_id IS NOT NULL) AND (kind = 'direct') = (high_user_id IS NOT NULL)),
    -- Of a group: what members and admins may, as bits (chat_domain::Permissions). Here, since a send looks at it.
    ADD COLUMN member_may   int,
    ADD COLUMN admin_may    int,
    ADD COLUMN member_count int NOT NULL DEFAULT 2,
    -- When the group was deleted. It is not there for any call then.
    ADD COLUMN deleted_at   timestamptz;

ALTER TABLE members
    -- Null in a direct conversation, as is the next one: there, neither takes room.
    ADD COLUMN role                  text CHECK (role IN ('member', 'admin', 'owner')),
    -- The revision above which they see how the group changed.
    ADD COLUMN visible_from_revision bigint,
    -- Null: they are a member. What ended stays: its row remembers operations, and tells the user's feed.
    ADD COLUMN ended_at              timestamptz,
    -- Null: not in the feed any more, as it ended long ago.
    ALTER COLUMN feed_revision DROP NOT NULL;

-- What a user is in. The index of 0002 can go once no function asks it any more.
CREATE INDEX members_of_user ON members (user_id, conversation_id) WHERE ended_at IS NULL;
CREATE INDEX members_active ON members (conversation_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX members_ended ON members (user_id, ended_at) WHERE ended_at IS NOT NULL AND feed_revision IS NOT NULL;

CREATE TABLE groups (
    conversation_id uuid    PRIMARY KEY REFERENCES conversations,
    creator_id      text COLLATE "C" NOT NULL,
    request_id      text COLLATE "C" NOT NULL,
    -- A hash of what was asked for, by which a repeat is told from another use of the id.
    request_hash    bytea   NOT NULL,
    name            text    NOT NULL,
    description     text    NOT NULL,
    avatar_url      text    NOT NULL,
    shows_history   boolean NOT NULL,
    -- The revision of the newest change of the group.
    state_revision  bigint  NOT NULL,
    UNIQUE (creator_id, request_id)
);

-- Entries that have a place and are not known to be in the timeline yet. Whoever closes places looks here first, so that none
-- of these is closed without what belongs there; a row goes when its place is sealed.
CREATE TABLE outbox (
    conversation_id uuid        NOT NULL REFERENCES conversations,
    revision        bigint      NOT NULL,
    after_seq       bigint      NOT NULL,
    actor_id        text COLLATE "C" NOT NULL,
    action          text        NOT NULL,
    user_ids        text[]      NOT NULL,
    name            text        NOT NULL,
    role            text        NOT NULL,
    allocated_at    timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, revision)
);

-- Who is told at once of what a member of a conversation does; the users of a direct one, or null.
CREATE FUNCTION told(p_conversation uuid, p_low text, p_high text, p_actor text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_low IS NOT NULL THEN
        RETURN members_told(p_low, p_high, p_actor);
    END IF;
    RETURN ARRAY(SELECT m.user_id FROM members m WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL ORDER BY 1);
END $$;

-- Whether a role may all of this.
CREATE FUNCTION may(p_role text, p_member_may int, p_admin_may int, p_needs int) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_role
        WHEN 'owner' THEN true
        WHEN 'admin' THEN (p_member_may | p_admin_may) & p_needs = p_needs
        ELSE p_member_may & p_needs = p_needs
    END
$$;

-- How high a role is. Nobody acts on one as high as their own.
CREATE FUNCTION rank_of(p_role text) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END
$$;

-- What became of a change of a group. `outcome`:
--   'ok': `revision` and what follows are set if something changed, and null if all was so already;
--   'repeated': the actor has made this call before, and nothing was done;
--   'reused': the request id is remembered with other content; 'missing': there is no such group for the actor;
--   'not_permitted': their role does not allow it; 'no_member': whom it is about is not in it;
--   'owner': an owner cannot leave; 'full': there would be too many members;
--   'limited': the actor writes too often, `wait_us` says how long to wait.
-- `user_ids`: whom the change is about. `told`: the members now. `feed_users`, `feed_revisions`: whose membership came or went,
-- and where that stands in their feeds. `left_out`: who was asked for and could not be added.
CREATE TYPE group_change AS (
    outcome text, conversation_id uuid, revision bigint, after_seq bigint, allocated_at timestamptz, user_ids text[], name text,
    role text, told text[], feed_users text[], feed_revisions bigint[], left_out text[], wait_us bigint
);

-- A change of a group that was not made.
CREATE FUNCTION group_unchanged(p_outcome text, p_conversation uuid DEFAULT NULL, p_wait_us bigint DEFAULT NULL)
RETURNS group_change
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_outcome, p_conversation, NULL::bigint, NULL::bigint, NULL::timestamptz, '{}'::text[], '', '', '{}'::text[],
           '{}'::text[], '{}'::bigint[], '{}'::text[], p_wait_us
$$;

-- A call that changes nothing, and has cost a look under the lock: it is paid for. Last in a transaction.
CREATE FUNCTION group_unchanged_charged(p_outcome text, p_conversation uuid, p_actor text, p_call_us bigint) RETURNS group_change
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN group_unchanged(p_outcome, p_conversation);
END $$;

-- What every change of a group begins with: waits for its turn, locks, then looks who the actor is and whether they may. Null
-- when they may; the conversation stays locked.
CREATE FUNCTION enter_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql AS $$
DECLARE
    c_recent_bytes CONSTANT int := 32;
    v_wait         bigint;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_position     int;
BEGIN
    -- A stranger neither waits for the lock nor holds it up, nor does who is no longer a member, unless they repeat a call;
    -- members are looked at again under it.
    PERFORM FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor
      AND (m.ended_at IS NULL OR position(p_op IN m.recent) > 0);
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
    v_position := position(p_op IN v_member.recent);
    IF v_position > 0 AND (v_position - 1) % c_recent_bytes = 0 THEN
        IF substring(v_member.recent FROM v_position + 8 FOR 8) = p_content THEN
            RETURN group_unchanged_charged('repeated', p_conversation, p_actor, p_call_us);
        END IF;
        IF v_member.ended_at IS NULL AND v_conversation.deleted_at IS NULL THEN
            RETURN group_unchanged_charged('reused', p_conversation, p_actor, p_call_us);
        END IF;
    END IF;
    IF v_conversation.conversation_id IS NULL OR v_member.user_id IS NULL OR v_conversation.deleted_at IS NOT NULL OR v_member.ended_at IS NOT NULL THEN
        RETURN group_unchanged_charged('missing', p_conversation, p_actor, p_call_us);
    END IF;
    IF NOT may(v_member.role, v_conversation.member_may, v_conversation.admin_may, p_needs) THEN
        RETURN group_unchanged_charged('not_permitted', p_conversation, p_actor, p_call_us);
    END IF;
    RETURN NULL;
END $$;

-- Gives a change of a group, which is locked, its place: the next revision, an entry for the timeline, and a memory of the
-- actor's operation. The members are read as they are now, so this comes last.
CREATE FUNCTION place_change(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_action text, p_users text[], p_name text, p_role text
) RETURNS group_change
LANGUAGE plpgsql AS $$
DECLARE
    c_recent_max   CONSTANT int := 8;
    c_recent_bytes CONSTANT int := 32;
    v_change       group_change := group_unchanged('ok', p_conversation);
BEGIN
    UPDATE conversations c SET
        revision = c.revision + 1,
        allocated_at = greatest(c.allocated_at, date_trunc('milliseconds', clock_timestamp()))
    WHERE c.conversation_id = p_conversation
    RETURNING c.revision, c.message_count, c.allocated_at INTO v_change.revision, v_change.after_seq, v_change.allocated_at;
    v_change.user_ids := p_users;
    v_change.name := p_name;
    v_change.role := p_role;
    v_change.told := told(p_conversation, NULL, NULL, p_actor);
    UPDATE groups g SET state_revision = v_change.revision WHERE g.conversation_id = p_conversation;
    UPDATE conversations c SET member_count = cardinality(v_change.told) WHERE c.conversation_id = p_conversation;
    INSERT INTO outbox (conversation_id, revision, after_seq, actor_id, action, user_ids, name, role, allocated_at)
    VALUES (p_conversation, v_change.revision, v_change.after_seq, p_actor, p_action, p_users, p_name, p_role,
            v_change.allocated_at);
    UPDATE members m SET
        recent = substring(
            operation(p_op, p_content, v_change.revision, v_change.after_seq, v_change.allocated_at) || m.recent
            FROM 1 FOR c_recent_max * c_recent_bytes)
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    RETURN v_change;
END $$;

-- Ends memberships of a conversation, which is locked. Answers where that stands in the users' feeds, by user id.
CREATE FUNCTION end_memberships(p_conversation uuid, p_users text[]) RETURNS bigint[]
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

-- Makes users members of a conversation, which is locked, at the revision that comes next; those who have too many
-- conversations are left out. Answers who became one, by user id; where that stands in their feeds is kept with each.
CREATE FUNCTION begin_memberships(p_conversation uuid, p_users text[], p_conversations_max int) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_hides        boolean := (SELECT NOT g.shows_history FROM groups g WHERE g.conversation_id = p_conversation);
    v_users        text[];
BEGIN
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation;
    PERFORM FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = ANY (p_users)
    ORDER BY m.user_id FOR NO KEY UPDATE;
    PERFORM lock_feeds(p_users);
    v_users := ARRAY(
        SELECT f.user_id FROM feeds f WHERE f.user_id = ANY (p_users) AND f.conversation_count < p_conversations_max
        ORDER BY 1);
    UPDATE feeds f SET revision = f.revision + 1, conversation_count = f.conversation_count + 1 WHERE f.user_id = ANY (v_users);
    -- What was said before is not unread to who comes, whether they see it or not.
    INSERT INTO members AS m (
        conversation_id, user_id, role, joined_revision, visible_from_seq, visible_from_revision, caught_up_seq, feed_revision)
    SELECT p_conversation, f.user_id, 'member', v_conversation.revision + 1,
           CASE WHEN v_hides THEN v_conversation.message_count ELSE 0 END,
           CASE WHEN v_hides THEN v_conversation.revision ELSE 0 END, v_conversation.message_count, f.revision
    FROM feeds f WHERE f.user_id = ANY (v_users)
    ON CONFLICT (conversation_id, user_id) DO UPDATE SET
        ended_at = NULL, role = 'member', joined_revision = EXCLUDED.joined_revision,
        visible_from_seq = EXCLUDED.visible_from_seq, visible_from_revision = EXCLUDED.visible_from_revision,
        caught_up_seq = EXCLUDED.caught_up_seq, feed_revision = EXCLUDED.feed_revision;
    RETURN v_users;
END $$;

-- Those of these users who are friends of the actor.
CREATE FUNCTION friends_among(p_actor text, p_users text[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT f.other_id FROM friends f
        WHERE f.user_id = p_actor AND f.other_id = ANY (p_users) AND f.state = 'accepted' ORDER BY 1)
$$;

-- Creates a group, or finds the one that an earlier call has created. Outcomes: 'ok', 'repeated', 'reused', 'limited', and
-- 'conversation_limit' when the actor has too many.
CREATE FUNCTION create_group(
    p_candidate uuid, p_actor text, p_request text, p_request_hash bytea, p_name text, p_description text, p_avatar_url text,
    p_shows_history boolean, p_member_may int, p_admin_may int, p_users text[], p_conversations_max int, p_call_us bigint,
    p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_wait    bigint := budget_wait(p_actor, 'write', p_burst_us);
    v_now     timestamptz := date_trunc('milliseconds', clock_timestamp());
    v_group   groups%ROWTYPE;
    v_users   text[];
    v_change  group_change;
BEGIN
    IF v_wait > 0 THEN
        RETURN group_unchanged('limited', NULL, v_wait);
    END IF;
    SELECT * INTO v_group FROM groups g WHERE g.creator_id = p_actor AND g.request_id = p_request;
    IF NOT FOUND THEN
        BEGIN
            INSERT INTO conversations (conversation_id, kind, created_at, allocated_at, last_activity_at, member_may, admin_may)
            VALUES (p_candidate, 'group', v_now, v_now, v_now, p_member_may, p_admin_may);
            -- Waits for a twin, whose row is answered then.
            INSERT INTO groups AS g (
                conversation_id, creator_id, request_id, request_hash, name, description, avatar_url, shows_history, state_revision)
            VALUES (p_candidate, p_actor, p_request, p_request_hash, p_name, p_description, p_avatar_url, p_shows_history, 0)
            ON CONFLICT (creator_id, request_id) DO UPDATE SET request_id = EXCLUDED.request_id
            RETURNING * INTO v_group;
            IF v_group.conversation_id <> p_candidate THEN
                RAISE EXCEPTION USING ERRCODE = 'CH002';
            END IF;
            v_users := begin_memberships(
                p_candidate, friends_among(p_actor, p_users) || p_actor, p_conversations_max);
            IF NOT p_actor = ANY (v_users) THEN
                RAISE EXCEPTION USING ERRCODE = 'CH001';
            END IF;
            UPDATE members m SET role = CASE WHEN m.user_id = p_actor THEN 'owner' ELSE 'member' END
            WHERE m.conversation_id = p_candidate;
            v_change := place_change(
                p_candidate, p_actor, substring(p_request_hash FROM 1 FOR 8), substring(p_request_hash FROM 9 FOR 8), 'created',
                array_remove(v_users, p_actor), p_name, '');
            v_change.feed_users := v_users;
            v_change.feed_revisions := ARRAY(
                SELECT m.feed_revision FROM members m WHERE m.conversation_id = p_candidate ORDER BY m.user_id);
            v_change.left_out := ARRAY(
                SELECT u FROM unnest(p_users) u WHERE NOT u = ANY (v_users) ORDER BY u COLLATE "C");
            PERFORM use_budget(p_actor, 'write', p_call_us);
            RETURN v_change;
        EXCEPTION
            WHEN SQLSTATE 'CH001' THEN
                RETURN group_unchanged_charged('conversation_limit', NULL, p_actor, p_call_us);
            WHEN SQLSTATE 'CH002' THEN
                SELECT * INTO v_group FROM groups g WHERE g.creator_id = p_actor AND g.request_id = p_request;
        END;
    END IF;
    IF v_group.request_hash <> p_request_hash THEN
        RETURN group_unchanged_charged('reused', NULL, p_actor, p_call_us);
    END IF;
    RETURN group_unchanged_charged('repeated', v_group.conversation_id, p_actor, p_call_us);
END $$;

-- Changes what a group shows or how it works; null leaves a field as it is.
CREATE FUNCTION update_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_name text, p_description text,
    p_avatar_url text, p_shows_history boolean, p_member_may int, p_admin_may int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_before groups%ROWTYPE;
    v_others boolean;
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    SELECT * INTO v_before FROM groups g WHERE g.conversation_id = p_conversation;
    SELECT (v_before.description, v_before.avatar_url, v_before.shows_history, c.member_may, c.admin_may) IS DISTINCT FROM
           (coalesce(p_description, v_before.description), coalesce(p_avatar_url, v_before.avatar_url),
            coalesce(p_shows_history, v_before.shows_history), coalesce(p_member_may, c.member_may),
            coalesce(p_admin_may, c.admin_may))
    INTO v_others FROM conversations c WHERE c.conversation_id = p_conversation;
    IF NOT v_others AND coalesce(p_name, v_before.name) = v_before.name THEN
        RETURN group_unchanged_charged('ok', p_conversation, p_actor, p_call_us);
    END IF;
    UPDATE groups g SET
        name = coalesce(p_name, g.name), description = coalesce(p_description, g.description),
        avatar_url = coalesce(p_avatar_url, g.avatar_url), shows_history = coalesce(p_shows_history, g.shows_history)
    WHERE g.conversation_id = p_conversation;
    UPDATE conversations c SET
        member_may = coalesce(p_member_may, c.member_may), admin_may = coalesce(p_admin_may, c.admin_may)
    WHERE c.conversation_id = p_conversation;
    IF coalesce(p_name, v_before.name) <> v_before.name THEN
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'renamed', '{}', p_name, '');
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'updated', '{}', '', '');
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- Adds those of these users who are the actor's friends and no members yet.
CREATE FUNCTION add_group_members(
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
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'members_added', v_users, '', '');
        v_change.feed_users := v_users;
        v_change.feed_revisions := ARRAY(
            SELECT m.feed_revision FROM members m
            WHERE m.conversation_id = p_conversation AND m.user_id = ANY (v_users) ORDER BY m.user_id);
    END IF;
    v_change.left_out := v_left;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- Ends somebody's membership: one's own, or that of a member with a lower role.
CREATE FUNCTION end_group_membership(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_user text, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change    group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_role      text;
    v_revisions bigint[];
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    SELECT m.role INTO v_role FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_user AND m.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN group_unchanged_charged('no_member', p_conversation, p_actor, p_call_us);
    END IF;
    IF p_user = p_actor THEN
        IF v_role = 'owner' THEN
            RETURN group_unchanged_charged('owner', p_conversation, p_actor, p_call_us);
        END IF;
    ELSIF rank_of(v_role) >= (
        SELECT rank_of(m.role) FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor)
    THEN
        RETURN group_unchanged_charged('not_permitted', p_conversation, p_actor, p_call_us);
    END IF;
    v_revisions := end_memberships(p_conversation, ARRAY[p_user]);
    IF p_user = p_actor THEN
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'member_left', '{}', '', '');
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'member_removed', ARRAY[p_user], '', '');
    END IF;
    v_change.feed_users := ARRAY[p_user];
    v_change.feed_revisions := v_revisions;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- Gives a member a role: 'member' or 'admin'; or 'owner', by the owner alone, who is an admin then.
CREATE FUNCTION set_group_role(
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
        RETURN group_unchanged_charged('ok', p_conversation, p_actor, p_call_us);
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
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- Deletes a group: from here on it is not there for any call. Its places stay, and what they hold.
CREATE FUNCTION delete_group(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_users  text[];
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    v_users := told(p_conversation, NULL, NULL, p_actor);
    v_change := group_unchanged('ok', p_conversation);
    v_change.feed_users := v_users;
    v_change.feed_revisions := end_memberships(p_conversation, v_users);
    UPDATE conversations c SET deleted_at = clock_timestamp(), member_count = 0 WHERE c.conversation_id = p_conversation
    RETURNING date_trunc('milliseconds', c.deleted_at) INTO v_change.allocated_at;
    UPDATE members m SET recent = operation(p_op, p_content, 0, 0, v_change.allocated_at)
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN v_change;
END $$;

-- The sequencer. Checks that the actor may make this change, and gives it its place: lock first, then look, so that the
-- checks see whatever was committed before.
--
-- No row: the conversation is not there for this actor. `outcome`:
--   'placed'; 'cannot_send' (a direct conversation of former friends) and 'not_permitted' (a role that may not send), which
--   name the place that the operation got when it was still allowed, if any;
--   'reused': the operation's id is remembered with other content, and nothing was done;
--   'limited': the actor writes too often, and nothing was done; `wait_us` says how long to wait.
--
-- p_op, p_content: hashes of 8 bytes of the operation's id and of its content. Each of its sender's newest operations gets
--     its place again when repeated, unless that place is not above p_after (it was closed by someone else).
-- p_is_message: whether the change is a message, which takes a seq.
-- p_floor_revision, p_floor_seq: what the timeline was found to hold; above 0 only when this sequencer went back.
-- p_read_seq: how far the actor has read, or 0. It holds whatever becomes of the change, below the change's own seq.
--
-- `messages_after` is the message count after the change, and so a message's seq. `read_seq`, `unread_count`, `counted_seq`
-- and `at` are set when p_read_seq is to be announced.
CREATE OR REPLACE FUNCTION append(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_is_message boolean, p_after bigint,
    p_floor_revision bigint, p_floor_seq bigint, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, revision bigint, messages_after bigint, allocated_at timestamptz, member_ids text[],
    read_seq bigint, unread_count bigint, counted_seq bigint, at timestamptz, wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- How many operations of a member are remembered: more than one client has in flight at a time.
    c_recent_max    CONSTANT int := 8;
    c_recent_bytes  CONSTANT int := 32;
    -- The bit of chat_domain::Permission::SendMessages.
    c_send_messages CONSTANT int := 1;
    v_conversation  conversations%ROWTYPE;
    v_member        members%ROWTYPE;
    v_position      int;
    v_known         bytea;
    v_base          bigint;
    v_may_send      boolean;
    v_changed       boolean := false;
BEGIN
    -- A stranger neither waits for the lock nor holds it up; members are looked at again under it. This is `budget_wait`
    -- within the same look.
    SELECT greatest(coalesce(ceil(extract(epoch FROM b.used_until - clock_timestamp()) * 1000000)::bigint - p_burst_us, 0), 0)
    INTO wait_us
    FROM members m LEFT JOIN budgets b ON b.user_id = p_actor AND b.class = 'write'
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        outcome := 'limited';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Members of a deleted group are none.
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- As in told; looked up here, since every send passes here.
    IF v_conversation.kind = 'direct' THEN
        v_may_send := EXISTS (
            SELECT FROM friends f
            WHERE f.user_id = v_conversation.low_user_id AND f.other_id = v_conversation.high_user_id AND f.state = 'accepted'
        );
        member_ids := CASE WHEN v_may_send THEN ARRAY[v_conversation.low_user_id, v_conversation.high_user_id]
            ELSE ARRAY[p_actor] END;
    ELSE
        v_may_send := may(v_member.role, v_conversation.member_may, v_conversation.admin_may, c_send_messages);
    END IF;

    v_position := position(p_op IN v_member.recent);
    IF v_position > 0 AND (v_position - 1) % c_recent_bytes = 0 THEN
        v_known := substring(v_member.recent FROM v_position FOR c_recent_bytes);
        IF number_of(substring(v_known FROM 17 FOR 6)) > p_after THEN
            revision := number_of(substring(v_known FROM 17 FOR 6));
            messages_after := revision - number_of(substring(v_known FROM 23 FOR 4));
            allocated_at := timestamptz 'epoch' + number_of(substring(v_known FROM 27 FOR 6)) * interval '1 millisecond';
        END IF;
    END IF;

    IF v_conversation.kind = 'group' THEN
        -- Who has come since it got its place is told nothing of it.
        member_ids := ARRAY(
            SELECT m.user_id FROM members m
            WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL
              AND (append.revision IS NULL OR m.joined_revision < append.revision)
            ORDER BY 1);
    END IF;

    IF NOT v_may_send THEN
        -- Also when it has a place: what it would write there may not be what it asked for when it was allowed.
        outcome := CASE v_conversation.kind WHEN 'direct' THEN 'cannot_send' ELSE 'not_permitted' END;
    ELSIF v_known IS NOT NULL AND substring(v_known FROM 9 FOR 8) <> p_content THEN
        outcome := 'reused';
        revision := NULL;
        messages_after := NULL;
    ELSE
        outcome := 'placed';
    END IF;

    -- How far they have read is their own act; what is above is unread to them before this change.
    IF p_read_seq > 0 THEN
        v_base := least(p_read_seq, coalesce(messages_after - p_is_message::int, v_conversation.message_count));
        IF v_base >= v_member.read_seq THEN
            v_changed := v_base > v_member.read_seq;
            v_member.read_seq := v_base;
            read_seq := v_base;
        END IF;
    END IF;

    IF outcome = 'placed' AND revision IS NULL THEN
        revision := greatest(v_conversation.revision, p_floor_revision) + 1;
        messages_after := greatest(v_conversation.message_count, p_floor_seq) + p_is_message::int;
        allocated_at := greatest(v_conversation.allocated_at, date_trunc('milliseconds', clock_timestamp()));

        UPDATE conversations c SET
            revision         = append.revision,
            message_count    = append.messages_after,
            allocated_at     = append.allocated_at,
            last_activity_at = CASE WHEN p_is_message THEN append.allocated_at ELSE c.last_activity_at END
        WHERE c.conversation_id = p_conversation;

        IF p_is_message THEN
            v_base := greatest(v_member.read_seq, v_member.caught_up_seq, v_member.visible_from_seq);
            IF v_base >= messages_after - 1
               OR count_unread(p_conversation, p_actor, v_base, messages_after - 1) = 0
            THEN
                v_member.caught_up_seq := messages_after;
            ELSE
                INSERT INTO own_seqs AS o (conversation_id, user_id, chunk, own_before, bits)
                SELECT p_conversation, p_actor, messages_after / 1024, coalesce(max(l.own_before + bit_count(l.bits)), 0),
                       bit_of(messages_after)
                FROM (
                    SELECT l.own_before, l.bits FROM own_seqs l
                    WHERE l.conversation_id = p_conversation AND l.user_id = p_actor ORDER BY l.chunk DESC LIMIT 1
                ) l
                ON CONFLICT (conversation_id, user_id, chunk) DO UPDATE SET bits = o.bits | EXCLUDED.bits;
                v_member.own_seq := messages_after;
            END IF;
        END IF;
        -- The oldest is forgotten, and this operation's own earlier place, which is of no use any more.
        v_member.recent := substring(
            operation(p_op, p_content, revision, messages_after, allocated_at)
            || CASE WHEN v_known IS NULL THEN v_member.recent ELSE
                   substring(v_member.recent FROM 1 FOR v_position - 1) || substring(v_member.recent FROM v_position + c_recent_bytes)
               END
            FROM 1 FOR c_recent_max * c_recent_bytes);
        v_conversation.message_count := messages_after;
        v_changed := true;
    END IF;

    IF v_changed THEN
        UPDATE members m SET
            recent = v_member.recent, read_seq = v_member.read_seq, caught_up_seq = v_member.caught_up_seq,
            own_seq = v_member.own_seq
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    END IF;
    IF read_seq IS NOT NULL THEN
        at := clock_timestamp();
        counted_seq := v_conversation.message_count;
        unread_count := count_unread(
            p_conversation, p_actor, greatest(v_member.read_seq, v_member.caught_up_seq, v_member.visible_from_seq), counted_seq);
    END IF;
    wait_us := NULL;
    -- This is `use_budget`, without calling it where there is a row.
    UPDATE budgets b SET used_until = greatest(b.used_until, clock_timestamp()) + p_call_us * interval '1 microsecond'
    WHERE b.user_id = p_actor AND b.class = 'write';
    IF NOT FOUND THEN
        PERFORM use_budget(p_actor, 'write', p_call_us);
    END IF;
    RETURN NEXT;
END $$;

-- Moves a member's read position forward, never past the newest seq. No row: the conversation is not there for this user.
-- `announce`: whether the position is what was asked for, so that others are told, again after a lost answer. `wait_us` is
-- above 0 when they write too often and nothing was done.
CREATE OR REPLACE FUNCTION mark_conversation_read(
    p_conversation uuid, p_actor text, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    read_seq bigint, unread_count bigint, counted_seq bigint, announce boolean, at timestamptz, member_ids text[], wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c_chunks_max   CONSTANT int := 64;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_base         bigint;
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation;
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        RETURN NEXT;
        RETURN;
    END IF;
    counted_seq := v_conversation.message_count;
    IF least(p_read_seq, counted_seq) > v_member.read_seq THEN
        -- Another call of theirs may have been faster.
        UPDATE members m SET read_seq = greatest(m.read_seq, least(p_read_seq, counted_seq))
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL
        RETURNING * INTO v_member;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    read_seq := v_member.read_seq;
    announce := read_seq > 0 AND read_seq = least(p_read_seq, counted_seq);
    at := clock_timestamp();
    v_base := greatest(read_seq, v_member.caught_up_seq, v_member.visible_from_seq);
    unread_count := count_unread(p_conversation, p_actor, v_base, counted_seq);
    member_ids := told(p_conversation, v_conversation.low_user_id, v_conversation.high_user_id, p_actor);
    IF v_member.own_seq > 0 THEN
        -- Own seqs below what is read need not be told apart any more.
        DELETE FROM own_seqs o WHERE o.conversation_id = p_conversation AND o.user_id = p_actor AND o.chunk IN (
            SELECT s.chunk FROM own_seqs s
            WHERE s.conversation_id = p_conversation AND s.user_id = p_actor AND s.chunk < v_base / 1024
            ORDER BY s.chunk LIMIT c_chunks_max);
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
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
    -- A majority of the timeline has what was read there.
    DELETE FROM outbox o WHERE o.conversation_id = p_conversation AND o.revision <= p_closed_revision;
END $$;
