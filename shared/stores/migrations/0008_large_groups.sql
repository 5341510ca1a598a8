-- Groups of more members than a call names: who is told of a change is looked up after its answer, and what concerns each of them
-- alone is done a hundred at a time.

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
