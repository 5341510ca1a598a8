/**
 * How a client follows the user's own feed: which announcement of a friend or a membership is the newest, and what is gone.
 * No IO, no clock; what friends and memberships look like is kept elsewhere.
 *
 * The feed's revisions are contiguous, 1, 2, 3 …, and each thing has the revision of its newest state. Live events announce
 * states too, may be lost, repeated and late, and know nothing of a listing that goes on meanwhile. Hence two rules: a state
 * is only replaced by one with a revision that is not less, and after a listing, what it did not name is gone, unless it was
 * announced after the listing had been asked for and lies above where the listing ended.
 */

import type { FeedCursor, FeedSync } from "./model.ts";
import { HINTS_MAX, type Step } from "./timeline.ts";

/** One thing in a user's feed: `friend:` or `membership:` and an id. */
export type Key = `friend:${string}` | `membership:${string}`;

/** A moment of this side, counted in announcements. */
export type Moment = number;

/** The newest state of a thing that a client heard of. */
interface Known {
  revision: number;
  heard: Moment;
  /** The number of the last listing that named it. */
  namedIn: number;
  /** Whether it is there; what is gone is remembered while an older announcement of it may come. */
  isThere: boolean;
}

/** How far a client is in the user's own feed. */
export class Feed {
  #cursor: FeedCursor = { epoch: 0, revision: 0, listingThrough: 0 };
  /** The greatest revision heard of. */
  #head = 0;
  #now: Moment = 0;
  /** The greatest revision that was announced, and when. */
  #newest = { revision: 0, heard: 0 };
  /** Where the cursor was before the answer that is being taken: what is gone by then is not remembered any more. */
  #passed = 0;
  /** Announced above a gap: revision → when. */
  #above = new Map<number, Moment>();
  /** A listing of all that there is. At first, everything is still to be listed. */
  #listing = { number: 1, since: 0, isOver: false };
  #known = new Map<Key, Known>();
  /** What is gone, by the revision at which it went, until the cursor has passed that. */
  #gone = new Map<number, Key>();

  get cursor(): FeedCursor {
    return this.#cursor;
  }

  get now(): Moment {
    return this.#now;
  }

  /** Whether something is missing, or was never listed. */
  get isBehind(): boolean {
    return !this.#listing.isOver || this.#cursor.revision < this.#head;
  }

  /** Takes what a device has kept: there until a listing does not name it. */
  restore(key: Key): void {
    this.#known.set(key, { revision: 0, heard: 0, namedIn: 0, isThere: true });
  }

  /** Hears a live announcement. Answers whether it is news, and whether something is missing before it. */
  hears(key: Key, isThere: boolean, revision: number): { isNews: boolean; step: Step } {
    const known = this.#known.get(key);
    let isNews: boolean;
    if (!known) {
      // All up to the cursor is known: this was something that is gone.
      isNews = revision > this.#cursor.revision;
    } else if (!this.#isComparable(known)) {
      isNews = true;
    } else {
      isNews = known.isThere ? revision >= known.revision : revision > known.revision;
    }
    this.pokes(revision);
    if (revision > this.#cursor.revision) {
      this.#above.set(revision, this.#now);
    }
    this.#advance();
    if (isNews) {
      this.#note(key, isThere, revision, undefined);
      this.#forgetGone();
    }
    return { isNews, step: this.isBehind ? "gap" : "whole" };
  }

  /** Hears that there is a revision, without what it holds: only a sync leads over it. */
  pokes(revision: number): Step {
    this.#now += 1;
    this.#head = Math.max(this.#head, revision);
    if (revision >= this.#newest.revision) {
      this.#newest = { revision, heard: this.#now };
    }
    return this.isBehind ? "gap" : "whole";
  }

  /**
   * Takes the head of an answer that was asked for at `since` from a cursor: what follows are its changes. Answers whether
   * they are of another life of the databases.
   */
  begins(since: Moment, asked: FeedCursor, sync: FeedSync): boolean {
    const { cursor } = sync;
    const isAnotherLife = sync.reset && this.#cursor.epoch !== 0 && this.#cursor.epoch !== cursor.epoch;
    // What it tells is heard now: after whatever is still to be answered was asked.
    this.#now += 1;
    // Who knows nothing, since there was nothing, is told all that there is as well, and not what has ended by then.
    const isListing = sync.reset || (asked.revision === 0 && this.#listing.isOver);
    this.#passed = isListing ? 0 : this.#cursor.revision;
    if (isListing) {
      this.#listing = { number: this.#listing.number + 1, since, isOver: false };
      // What was announced before belongs to a feed that may be another by now.
      for (const [revision, heard] of this.#above) {
        if (heard <= since) {
          this.#above.delete(revision);
        }
      }
      if (this.#newest.heard <= since) {
        this.#newest = { revision: 0, heard: this.#now };
      }
      this.#head = this.#newest.revision;
      this.#cursor = cursor;
    } else if (cursor.revision >= this.#cursor.revision) {
      this.#cursor = cursor;
    }
    this.#head = Math.max(this.#head, sync.revision, this.#cursor.revision);
    return isAnotherLife;
  }

  /** Takes a change of the answer. Answers whether it is news. */
  takes(key: Key, isThere: boolean, revision: number): boolean {
    const { number, since, isOver } = this.#listing;
    const known = this.#known.get(key);
    let isStale: boolean;
    if (known) {
      known.namedIn = number;
      isStale = (isOver || known.heard > since) && revision < known.revision;
    } else {
      isStale = isOver && revision <= this.#passed;
    }
    if (!isStale) {
      this.#note(key, isThere, revision, number);
    }
    return !isStale;
  }

  /** Ends the answer. Answers what is gone since a listing that is complete did not name it. */
  ends(sync: FeedSync): Key[] {
    const gone: Key[] = [];
    if (!sync.incomplete && !this.#listing.isOver) {
      const { number, since } = this.#listing;
      for (const [key, known] of this.#known) {
        const isLeft = known.namedIn === number || (known.heard > since && known.revision > this.#cursor.revision);
        if (!isLeft) {
          this.#known.delete(key);
          if (known.isThere) {
            gone.push(key);
          }
        }
      }
      this.#listing.isOver = true;
    }
    this.#advance();
    return gone;
  }

  /**
   * Takes the word that a membership is lost, from an answer that was asked for at `since`. Answers whether it is, since it
   * may have been gained again meanwhile.
   */
  loses(since: Moment, key: Key): boolean {
    const known = this.#known.get(key);
    if (!known) {
      return true;
    }
    if (known.heard > since) {
      return false;
    }
    known.isThere = false;
    this.#gone.set(known.revision, key);
    return true;
  }

  #note(key: Key, isThere: boolean, revision: number, namedIn: number | undefined): void {
    if (!isThere) {
      this.#gone.set(revision, key);
    }
    const known = this.#known.get(key);
    this.#known.set(key, {
      revision,
      heard: this.#now,
      isThere,
      namedIn: namedIn ?? known?.namedIn ?? 0,
    });
  }

  /** Whether a state's revision can be compared with one that comes now: before a listing, the feed may have been another. */
  #isComparable(known: Known): boolean {
    const { number, since, isOver } = this.#listing;
    return isOver || known.heard > since || known.namedIn === number;
  }

  /** Moves the cursor over what was announced without a gap. While things are listed, only the listing moves it. */
  #advance(): void {
    if (this.#listing.isOver) {
      for (const revision of ascending(this.#above)) {
        if (revision > this.#cursor.revision + 1) {
          break;
        }
        this.#above.delete(revision);
        this.#cursor = { ...this.#cursor, revision: Math.max(this.#cursor.revision, revision) };
      }
    }
    if (this.#above.size > HINTS_MAX) {
      for (const revision of ascending(this.#above).slice(HINTS_MAX)) {
        this.#above.delete(revision);
      }
    }
    this.#forgetGone();
  }

  #forgetGone(): void {
    if (!this.#listing.isOver) {
      return;
    }
    for (const revision of ascending(this.#gone)) {
      if (revision > this.#cursor.revision) {
        break;
      }
      const key = this.#gone.get(revision) as Key;
      this.#gone.delete(revision);
      const known = this.#known.get(key);
      if (known && !known.isThere && known.revision <= revision) {
        this.#known.delete(key);
      }
    }
  }
}

function ascending(map: ReadonlyMap<number, unknown>): number[] {
  return [...map.keys()].sort((one, other) => one - other);
}
