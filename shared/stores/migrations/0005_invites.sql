-- Links into groups, and who asks to join.

-- Somebody else ended the membership: who then comes by an invite asks to join. Null: no.
ALTER TABLE members ADD COLUMN was_removed boolean;

CREATE TABLE invites (
    invite_id       uuid        PRIMARY KEY,
    -- 16 random bytes: whoever has them may join.
    token           bytea       NOT NULL UNIQUE,
    conversation_id uuid        NOT NULL REFERENCES conversations,
    creator_id      text COLLATE "C" NOT NULL,
    request_id      text COLLATE "C" NOT NULL,
    -- A hash of what was asked for, by which a repeat is told from another use of the id.
    request_hash    bytea       NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz,
    -- Null: any number.
    max_uses        int,
    uses            int         NOT NULL DEFAULT 0,
    needs_approval  boolean     NOT NULL,
    revoked_at      timestamptz,
    UNIQUE (conversation_id, creator_id, request_id)
);

CREATE INDEX invites_live ON invites (conversation_id, created_at) WHERE revoked_at IS NULL;
CREATE INDEX invites_ended ON invites (conversation_id, revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE join_requests (
    conversation_id uuid        NOT NULL REFERENCES conversations,
    user_id         text COLLATE "C" NOT NULL,
    requested_at    timestamptz NOT NULL,
    -- The call that asked, by hashes of 8 bytes, so that its repeat does not ask again.
    op              bytea       NOT NULL,
    content         bytea       NOT NULL,
    -- When somebody turned them away. The row stays for 30 days, to know the call.
    declined_at     timestamptz,
    PRIMARY KEY (conversation_id, user_id)
);

CREATE INDEX join_requests_open ON join_requests (conversation_id, user_id) WHERE declined_at IS NULL;

-- Whether an invite can be used now.
CREATE FUNCTION is_live(p_invite invites) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT p_invite.revoked_at IS NULL
       AND (p_invite.expires_at IS NULL OR p_invite.expires_at > clock_timestamp())
       AND (p_invite.max_uses IS NULL OR p_invite.uses < p_invite.max_uses)
$$;

-- Makes users members of a conversation, which is locked, at the revision that comes next; those who have too many
-- conversations are left out. Answers who became one, by user id; where that stands in their feeds is kept with each.
CREATE OR REPLACE FUNCTION begin_memberships(p_conversation uuid, p_users text[], p_conversations_max int) RETURNS text[]
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
        ended_at = NULL, was_removed = NULL, role = 'member', joined_revision = EXCLUDED.joined_revision,
        visible_from_seq = EXCLUDED.visible_from_seq, visible_from_revision = EXCLUDED.visible_from_revision,
        caught_up_seq = EXCLUDED.caught_up_seq, feed_revision = EXCLUDED.feed_revision;
    -- Who is in it asks no more.
    DELETE FROM join_requests r WHERE r.conversation_id = p_conversation AND r.user_id = ANY (v_users);
    -- The count of a conversation that is new is that of a direct one.
    UPDATE conversations c SET
        member_count = CASE c.revision WHEN 0 THEN 0 ELSE c.member_count END + cardinality(v_users)
    WHERE c.conversation_id = p_conversation;
    RETURN v_users;
END $$;

-- Ends somebody's membership: one's own, or that of a member with a lower role.
CREATE OR REPLACE FUNCTION end_group_membership(
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
        -- Who left before they were removed comes back as who was removed.
        UPDATE members m SET was_removed = true WHERE m.conversation_id = p_conversation AND m.user_id = p_user;
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
    UPDATE members m SET was_removed = true
    WHERE m.conversation_id = p_conversation AND m.user_id = p_user AND p_user <> p_actor;
    IF p_user = p_actor THEN
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'member_left', '{}', '', '');
    ELSE
        v_change := place_change(p_conversation, p_actor, p_op, p_content, 'member_removed', ARRAY[p_user], '', '');
    END IF;
    v_change.feed_users := ARRAY[p_user];
    v_change.feed_revisions := v_revisions;
    PERFORM charge_change(p_conversation, p_actor, p_call_us);
    RETURN v_change;
END $$;

-- Makes an invite, or finds the one that an earlier call with the same id has made. `outcome`, as in group_change: 'ok';
-- 'reused' also when that one cannot be used any more; 'missing'; 'not_permitted'; 'limited'; and 'full': there are too many.
CREATE FUNCTION create_invite(
    p_conversation uuid, p_actor text, p_needs int, p_request text, p_request_hash bytea, p_invite uuid, p_token bytea,
    p_valid_s bigint, p_max_uses int, p_needs_approval boolean, p_invites_max int, p_call_us bigint, p_burst_us bigint
) RETURNS TABLE (outcome text, wait_us bigint, invite invites)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change;
BEGIN
    -- Without an id of its own among the calls: what is remembered of this one is its row.
    v_change := enter_group(p_conversation, p_actor, NULL, NULL, p_needs, p_call_us, p_burst_us);
    outcome := v_change.outcome;
    wait_us := v_change.wait_us;
    IF outcome IS NOT NULL THEN
        invite := NULL;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT i.* INTO invite FROM invites i
    WHERE i.conversation_id = p_conversation AND i.creator_id = p_actor AND i.request_id = p_request;
    IF FOUND THEN
        outcome := CASE WHEN invite.request_hash = p_request_hash AND is_live(invite) THEN 'ok' ELSE 'reused' END;
    ELSE
        -- Those that have ended are not looked at again, and leave after a while.
        UPDATE invites i SET revoked_at = clock_timestamp()
        WHERE i.conversation_id = p_conversation AND i.revoked_at IS NULL AND NOT is_live(i);
        DELETE FROM invites i
        WHERE i.conversation_id = p_conversation AND i.revoked_at < clock_timestamp() - interval '30 days';
        outcome := CASE
            WHEN (SELECT count(*) FROM invites i WHERE i.conversation_id = p_conversation AND i.revoked_at IS NULL)
                 >= p_invites_max THEN 'full' ELSE 'ok' END;
    END IF;
    IF outcome = 'ok' AND invite.invite_id IS NULL THEN
        INSERT INTO invites AS i (
            invite_id, token, conversation_id, creator_id, request_id, request_hash, created_at, expires_at, max_uses,
            needs_approval)
        VALUES (p_invite, p_token, p_conversation, p_actor, p_request, p_request_hash, clock_timestamp(),
                clock_timestamp() + p_valid_s * interval '1 second', p_max_uses, p_needs_approval)
        RETURNING i.* INTO invite;
    END IF;
    IF outcome <> 'ok' THEN
        invite := NULL;
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
END $$;

-- Ends an invite of a group, if it has it. `outcome`: 'ok', 'missing', 'not_permitted', 'limited'.
CREATE FUNCTION revoke_invite(
    p_conversation uuid, p_actor text, p_needs int, p_invite uuid, p_call_us bigint, p_burst_us bigint
) RETURNS TABLE (outcome text, wait_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change group_change := enter_group(p_conversation, p_actor, NULL, NULL, p_needs, p_call_us, p_burst_us);
BEGIN
    outcome := coalesce(v_change.outcome, 'ok');
    wait_us := v_change.wait_us;
    IF outcome = 'ok' THEN
        UPDATE invites i SET revoked_at = clock_timestamp()
        WHERE i.invite_id = p_invite AND i.conversation_id = p_conversation AND i.revoked_at IS NULL;
        PERFORM use_budget(p_actor, 'write', p_call_us);
    END IF;
    RETURN NEXT;
END $$;

-- Those who look after a group, of whom few are among many members.
CREATE INDEX members_managing ON members (conversation_id, user_id) WHERE ended_at IS NULL AND role <> 'member';

-- Those of them who may do something that no group allows all members: as many as a call names.
CREATE FUNCTION managers(p_conversation uuid, p_needs int) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT m.user_id FROM members m JOIN conversations c USING (conversation_id)
        WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL AND m.role <> 'member' AND may(m.role, c.member_may, c.admin_may, p_needs)
        ORDER BY 1 LIMIT named_members_max())
$$;

-- Joins a group by an invite, or asks to. `outcome`, besides those of group_change: 'requested', and then `told` are those who
-- manage invites, if they are to be told; 'too_many_ask'; 'missing': there is no such invite that can be used; 'conversation_limit'.
CREATE FUNCTION join_group(
    p_token bytea, p_actor text, p_op bytea, p_content bytea, p_manages int, p_members_max int, p_requests_max int,
    p_conversations_max int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c_call_bytes   CONSTANT int := 16;
    v_wait         bigint := budget_wait(p_actor, 'write', p_burst_us);
    v_invite       invites%ROWTYPE;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_position     int;
    v_request      join_requests%ROWTYPE;
    v_asks         boolean;
    v_change       group_change;
BEGIN
    IF v_wait > 0 THEN
        RETURN group_unchanged('limited', NULL, v_wait);
    END IF;
    SELECT * INTO v_invite FROM invites i WHERE i.token = p_token;
    IF NOT FOUND THEN
        RETURN group_unchanged_charged('missing', NULL, p_actor, p_call_us);
    END IF;
    -- A dead link holds nobody up, but for those who know the group.
    IF NOT is_live(v_invite)
       AND NOT EXISTS (SELECT FROM members m WHERE m.conversation_id = v_invite.conversation_id AND m.user_id = p_actor)
       AND NOT EXISTS (SELECT FROM join_requests r WHERE r.conversation_id = v_invite.conversation_id AND r.user_id = p_actor)
    THEN
        RETURN group_unchanged_charged('missing', NULL, p_actor, p_call_us);
    END IF;
    SELECT * INTO v_conversation FROM conversations c
    WHERE c.conversation_id = v_invite.conversation_id FOR NO KEY UPDATE;
    -- The conversation's lock is that of its invites.
    SELECT * INTO v_invite FROM invites i WHERE i.token = p_token;
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = v_invite.conversation_id AND m.user_id = p_actor FOR NO KEY UPDATE;
    v_position := position(p_op IN v_member.calls);
    IF v_position > 0 AND (v_position - 1) % c_call_bytes = 0 AND v_conversation.deleted_at IS NULL THEN
        RETURN group_unchanged_charged(
            CASE WHEN substring(v_member.calls FROM v_position + 8 FOR 8) = p_content THEN 'repeated' ELSE 'reused' END,
            v_invite.conversation_id, p_actor, p_call_us);
    END IF;
    IF v_conversation.deleted_at IS NOT NULL THEN
        RETURN group_unchanged_charged('missing', NULL, p_actor, p_call_us);
    END IF;
    IF v_member.user_id IS NOT NULL AND v_member.ended_at IS NULL THEN
        RETURN group_as_asked(v_invite.conversation_id, p_actor, p_op, p_content, p_call_us);
    END IF;
    SELECT * INTO v_request FROM join_requests r
    WHERE r.conversation_id = v_invite.conversation_id AND r.user_id = p_actor;
    v_asks := v_invite.needs_approval OR coalesce(v_member.was_removed, false);
    v_change := group_unchanged('requested', v_invite.conversation_id);
    v_change.allocated_at := clock_timestamp();
    IF v_request.op = p_op AND v_request.content <> p_content THEN
        RETURN group_unchanged_charged('reused', v_invite.conversation_id, p_actor, p_call_us);
    END IF;
    -- A repeat asks no more, however it was answered; while nobody has answered, those who may are told again.
    IF v_request.op = p_op OR v_asks AND v_request.user_id IS NOT NULL AND v_request.declined_at IS NULL THEN
        IF v_request.op = p_op AND v_request.declined_at IS NULL THEN
            v_change.told := managers(v_invite.conversation_id, p_manages);
        END IF;
        PERFORM use_budget(p_actor, 'write', p_call_us);
        RETURN v_change;
    END IF;
    IF NOT is_live(v_invite) THEN
        RETURN group_unchanged_charged('missing', NULL, p_actor, p_call_us);
    END IF;
    IF v_asks THEN
        DELETE FROM join_requests r
        WHERE r.conversation_id = v_invite.conversation_id AND r.declined_at < clock_timestamp() - interval '30 days';
        IF (SELECT count(*) FROM join_requests r
            WHERE r.conversation_id = v_invite.conversation_id AND r.declined_at IS NULL) >= p_requests_max
        THEN
            RETURN group_unchanged_charged('too_many_ask', v_invite.conversation_id, p_actor, p_call_us);
        END IF;
        INSERT INTO join_requests AS r (conversation_id, user_id, requested_at, op, content)
        VALUES (v_invite.conversation_id, p_actor, clock_timestamp(), p_op, p_content)
        ON CONFLICT (conversation_id, user_id) DO UPDATE SET
            requested_at = EXCLUDED.requested_at, op = EXCLUDED.op, content = EXCLUDED.content, declined_at = NULL;
        UPDATE invites i SET uses = i.uses + 1 WHERE i.invite_id = v_invite.invite_id;
        v_change.told := managers(v_invite.conversation_id, p_manages);
    ELSE
        IF v_conversation.member_count >= p_members_max THEN
            RETURN group_unchanged_charged('full', v_invite.conversation_id, p_actor, p_call_us);
        END IF;
        IF begin_memberships(v_invite.conversation_id, ARRAY[p_actor], p_conversations_max) = '{}' THEN
            RETURN group_unchanged_charged('conversation_limit', v_invite.conversation_id, p_actor, p_call_us);
        END IF;
        UPDATE invites i SET uses = i.uses + 1 WHERE i.invite_id = v_invite.invite_id;
        v_change := place_change(v_invite.conversation_id, p_actor, p_op, p_content, 'member_joined', '{}', '', '');
        v_change.feed_users := ARRAY[p_actor];
        v_change.feed_revisions := ARRAY(
            SELECT m.feed_revision FROM members m
            WHERE m.conversation_id = v_invite.conversation_id AND m.user_id = p_actor);
    END IF;
    PERFORM charge_change(v_invite.conversation_id, p_actor, p_call_us);
    RETURN v_change;
END $$;

-- Lets somebody in who asks to join, or not. `outcome`, besides those of group_change: 'no_member': they do not ask;
-- 'conversation_limit': they have too many.
CREATE FUNCTION answer_join_request(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_needs int, p_user text, p_approve boolean,
    p_members_max int, p_conversations_max int, p_call_us bigint, p_burst_us bigint
) RETURNS group_change
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_change  group_change := enter_group(p_conversation, p_actor, p_op, p_content, p_needs, p_call_us, p_burst_us);
    v_request join_requests%ROWTYPE;
BEGIN
    IF v_change.outcome IS NOT NULL THEN
        RETURN v_change;
    END IF;
    SELECT * INTO v_request FROM join_requests r
    WHERE r.conversation_id = p_conversation AND r.user_id = p_user AND r.declined_at IS NULL;
    IF NOT FOUND THEN
        RETURN group_unchanged_charged('no_member', p_conversation, p_actor, p_call_us);
    END IF;
    IF NOT p_approve THEN
        UPDATE join_requests r SET declined_at = clock_timestamp()
        WHERE r.conversation_id = p_conversation AND r.user_id = p_user;
        RETURN group_as_asked(p_conversation, p_actor, p_op, p_content, p_call_us);
    END IF;
    IF (SELECT c.member_count FROM conversations c WHERE c.conversation_id = p_conversation) >= p_members_max THEN
        RETURN group_unchanged_charged('full', p_conversation, p_actor, p_call_us);
    END IF;
    IF begin_memberships(p_conversation, ARRAY[p_user], p_conversations_max) = '{}' THEN
        RETURN group_unchanged_charged('conversation_limit', p_conversation, p_actor, p_call_us);
    END IF;
    -- Their call is known for good: a late repeat of it brings nobody back who has left.
    PERFORM remember_call(p_conversation, p_user, v_request.op, v_request.content);
    v_change := place_change(p_conversation, p_actor, p_op, p_content, 'members_added', ARRAY[p_user], '', '');
    v_change.feed_users := ARRAY[p_user];
    v_change.feed_revisions := ARRAY(
        SELECT m.feed_revision FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_user);
    PERFORM charge_change(p_conversation, p_actor, p_call_us);
    RETURN v_change;
END $$;
