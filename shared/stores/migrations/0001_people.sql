-- People: how they show themselves, and who is whose friend.

-- Ids compare by bytes everywhere, so that "the lower of two users" is the same to Postgres and to Rust.
CREATE TABLE users (
    user_id      text COLLATE "C" PRIMARY KEY,
    display_name text        NOT NULL,
    avatar_url   text        NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- A friendship or an open request; one row per pair of users.
CREATE TABLE friendships (
    low_user_id  text COLLATE "C" NOT NULL,
    high_user_id text COLLATE "C" NOT NULL,
    requested_by text COLLATE "C" NOT NULL,
    accepted     boolean          NOT NULL DEFAULT false,
    updated_at   timestamptz      NOT NULL,
    PRIMARY KEY (low_user_id, high_user_id),
    CHECK (low_user_id < high_user_id),
    CHECK (requested_by IN (low_user_id, high_user_id))
);

CREATE INDEX friendships_by_high_user ON friendships (high_user_id);

-- Asks, or meets the other's request. `changed` tells whether there is anything to announce. No row: the caller has
-- too many friends and open requests.
CREATE FUNCTION request_friend(p_actor text, p_other text, p_friends_max bigint)
RETURNS TABLE (accepted boolean, requested_by text, updated_at timestamptz, changed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_low  text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
BEGIN
    IF NOT EXISTS (SELECT FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high)
       AND (SELECT count(*) FROM friendships f
            WHERE (f.low_user_id = p_actor OR f.high_user_id = p_actor)
              -- What strangers ask takes none of the caller's places.
              AND (f.accepted OR f.requested_by = p_actor)) >= p_friends_max
    THEN
        RETURN;
    END IF;
    RETURN QUERY
    INSERT INTO friendships AS f (low_user_id, high_user_id, requested_by, updated_at)
    VALUES (v_low, v_high, p_actor, clock_timestamp())
    -- The clock is read under the row's lock, so that of two changes the later one has the later time.
    ON CONFLICT (low_user_id, high_user_id) DO UPDATE SET accepted = true, updated_at = clock_timestamp()
        WHERE NOT f.accepted AND f.requested_by <> EXCLUDED.requested_by
    RETURNING f.accepted, f.requested_by, f.updated_at, true;
    IF NOT FOUND THEN
        -- A repeat. The row was locked all the same, so it is still there.
        RETURN QUERY
        SELECT f.accepted, f.requested_by, f.updated_at, false
        FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high;
    END IF;
END $$;

-- Accepts or declines the other's request. `outcome`: 'accepted', 'declined', 'missing' or 'friends' (a decline that
-- comes too late).
CREATE FUNCTION respond_to_friend_request(p_actor text, p_other text, p_accept boolean)
RETURNS TABLE (outcome text, updated_at timestamptz, changed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_low  text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
    v_now  timestamptz;
    v_row  friendships%ROWTYPE;
BEGIN
    SELECT * INTO v_row FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high FOR UPDATE;
    v_now := clock_timestamp();
    IF NOT FOUND OR (NOT v_row.accepted AND v_row.requested_by = p_actor) THEN
        RETURN QUERY SELECT CASE WHEN p_accept THEN 'missing' ELSE 'declined' END, v_now, false;
    ELSIF v_row.accepted THEN
        RETURN QUERY SELECT CASE WHEN p_accept THEN 'accepted' ELSE 'friends' END, v_row.updated_at, false;
    ELSIF p_accept THEN
        UPDATE friendships f SET accepted = true, updated_at = v_now
        WHERE f.low_user_id = v_low AND f.high_user_id = v_high;
        RETURN QUERY SELECT 'accepted', v_now, true;
    ELSE
        DELETE FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high;
        RETURN QUERY SELECT 'declined', v_now, true;
    END IF;
END $$;
