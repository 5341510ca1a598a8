/**
 * Who the person is, by any OIDC provider: the authorization code flow with PKCE.
 *
 * Access tokens are in memory alone. A refresh token is in the tab's session storage, so that a reload keeps the person
 * signed in and the end of the tab does not; so two tabs can be two people. Another tab of the same person may hand its
 * session on, if they want that. Refreshing is done by one tab at a time, since a provider that rotates refresh tokens
 * takes the second use of one for theft.
 */

import * as oauth from "oauth4webapi";
import type { Config } from "./config.ts";

/** Who is signed in, in this tab. */
export interface Session {
  readonly userId: string;
  readonly refreshToken: string | undefined;
  /** When the person signed in, in milliseconds since 1970. */
  readonly since: number;
}

interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
}

type Word =
  | { readonly kind: "who" }
  | { readonly kind: "session"; readonly session: Session }
  | { readonly kind: "refreshed"; readonly session: Session; readonly access: Access }
  | { readonly kind: "signedOut"; readonly userId: string }
  /** By a tab that has heard so, after all that it had said of its session. */
  | { readonly kind: "gone"; readonly userId: string };

/** An access token, and when it ends, in milliseconds since 1970. */
interface Access {
  readonly token: string;
  readonly until: number;
}

const SESSION = "chat-session";
const PENDING = "chat-signing-in";
/** When each person last signed out here: a tab that was elsewhere, or asleep, did not hear of it. */
const ENDS = "chat-signed-out";
/** A token that ends within this time is not used any more, in milliseconds. */
const MARGIN = 30_000;
/** How long the provider may take to answer, in milliseconds. */
const TIMEOUT = 15_000;
/** How long a tab that may refresh waits for the word of one that has just done so, in milliseconds. */
const WORD_TIME = 100;

/** The person has to sign in again. */
export class SignedOut extends Error {}

export class Auth {
  readonly #config: Config;
  readonly #client: oauth.Client;
  readonly #isLocal: boolean;
  readonly #channel = new BroadcastChannel("chat-sessions");
  readonly #others = new Map<string, Session>();
  #othersChanged = () => {};
  #signedOutElsewhere = () => {};
  #server: Promise<oauth.AuthorizationServer> | undefined;
  #session: Session | undefined;
  #access: Access | undefined;
  #refreshing: Promise<string> | undefined;
  /** Counts sign-ins and sign-outs: what was asked for before one of them is nobody's any more. */
  #era = 0;
  /** Where the person wanted to go who signed in, or tried to. */
  #returnTo = "/";

  constructor(config: Config) {
    this.#config = config;
    this.#client = { client_id: config.clientId };
    // Of this machine's own issuer alone.
    this.#isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(new URL(config.issuer).hostname);
    this.#session = keptSession();
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    if (!this.#session) {
      this.#askWho();
    }
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get returnTo(): string {
    return this.#returnTo;
  }

  /** People who are signed in in other tabs. */
  get others(): readonly Session[] {
    return [...this.#others.values()];
  }

  onOthers(changed: () => void): void {
    this.#othersChanged = changed;
  }

  /** Calls back when the person signs out in another tab. */
  onSignedOut(ended: () => void): void {
    this.#signedOutElsewhere = ended;
  }

  /** Goes on as somebody who is signed in in another tab. */
  join(session: Session): void {
    this.#forget();
    this.#keep(session);
  }

  get #options() {
    return { [oauth.allowInsecureRequests]: this.#isLocal, signal: AbortSignal.timeout(TIMEOUT) };
  }

  /** Leaves for the provider's page. */
  async signIn(returnTo: string): Promise<void> {
    const server = await this.#discover();
    const verifier = oauth.generateRandomCodeVerifier();
    const pending: PendingSignIn = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier,
      returnTo,
    };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const url = new URL(server.authorization_endpoint ?? "");
    const parameters = {
      client_id: this.#config.clientId,
      redirect_uri: redirectUri(),
      response_type: "code",
      scope: this.#config.scope,
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...(this.#config.audience && { audience: this.#config.audience }),
    };
    for (const [name, value] of Object.entries(parameters)) {
      url.searchParams.set(name, value);
    }
    location.assign(url);
  }

  /** Takes what the provider's page has sent back. Answers whether this is such a return. */
  async takeReturn(): Promise<boolean> {
    const url = new URL(location.href);
    const kept = sessionStorage.getItem(PENDING);
    if (url.pathname !== "/signed-in" || !kept) {
      return false;
    }
    sessionStorage.removeItem(PENDING);
    const { state, nonce, verifier, returnTo } = JSON.parse(kept) as PendingSignIn;
    // A place within the app, and nothing that only looks like one.
    this.#returnTo = /^\/(?!\/)/u.test(returnTo) ? returnTo : "/";
    const server = await this.#discover();
    const parameters = oauth.validateAuthResponse(server, this.#client, url, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      this.#client,
      oauth.None(),
      parameters,
      redirectUri(),
      verifier,
      this.#options,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, this.#client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    this.#forget();
    this.#access = accessOf(tokens);
    this.#keep({ userId: claims?.sub ?? "", refreshToken: tokens.refresh_token, since: Date.now() });
    return true;
  }

  /** The token to call with; another one than the service has refused. */
  async token(refused?: string): Promise<string> {
    if (this.#isGood(this.#access, refused)) {
      return this.#access.token;
    }
    const refreshing = this.#refreshing ?? this.#refresh(refused);
    this.#refreshing = refreshing;
    try {
      return await refreshing;
    } finally {
      if (this.#refreshing === refreshing) {
        this.#refreshing = undefined;
      }
    }
  }

  /** Signs the person out, in all tabs, and at the provider as far as that goes. */
  signOut(): void {
    const session = this.#session;
    this.#forget();
    if (session) {
      localStorage.setItem(ENDS, JSON.stringify({ ...ends(), [session.userId]: Date.now() }));
      this.#channel.postMessage({ kind: "signedOut", userId: session.userId } satisfies Word);
      this.#revoke(session.refreshToken);
    }
    // Whom this tab had heard of before may be who has just gone, or somebody whose tab is closed.
    this.#others.clear();
    this.#othersChanged();
    this.#askWho();
  }

  #askWho(): void {
    this.#channel.postMessage({ kind: "who" } satisfies Word);
  }

  #forget(): void {
    this.#era += 1;
    sessionStorage.removeItem(SESSION);
    this.#session = undefined;
    this.#access = undefined;
    this.#refreshing = undefined;
  }

  #isGood(access: Access | undefined, refused: string | undefined): access is Access {
    return access !== undefined && access.token !== refused && access.until > Date.now() + MARGIN;
  }

  async #refresh(refused: string | undefined): Promise<string> {
    const era = this.#era;
    const session = this.#session;
    if (!session?.refreshToken) {
      throw new SignedOut("there is no session to refresh");
    }
    const server = await this.#discover();
    return navigator.locks.request(`chat-refresh:${session.userId}`, async () => {
      // Another tab may have refreshed it while this one waited, and its word be on the way.
      await new Promise((resolve) => setTimeout(resolve, WORD_TIME));
      this.#expect(era);
      if (this.#isGood(this.#access, refused)) {
        return this.#access.token;
      }
      const refreshToken = this.#session?.refreshToken ?? "";
      const response = await oauth.refreshTokenGrantRequest(
        server,
        this.#client,
        oauth.None(),
        refreshToken,
        this.#options,
      );
      try {
        const tokens = await oauth.processRefreshTokenResponse(server, this.#client, response);
        if (era !== this.#era) {
          // The one that was revoked at the sign-out is the one before.
          this.#revoke(tokens.refresh_token);
        }
        this.#expect(era);
        const access = accessOf(tokens);
        const renewed = { ...session, refreshToken: tokens.refresh_token ?? refreshToken };
        this.#access = access;
        this.#keep(renewed);
        this.#channel.postMessage({ kind: "refreshed", session: renewed, access } satisfies Word);
        return access.token;
      } catch (cause) {
        if (cause instanceof oauth.ResponseBodyError && cause.error === "invalid_grant") {
          this.#expect(era);
          throw new SignedOut("the session has ended", { cause });
        }
        throw cause;
      }
    });
  }

  /** Whoever asked before somebody else signed in, or this one out, gets nothing. */
  #expect(era: number): void {
    if (era !== this.#era) {
      throw new Error("somebody else is signed in by now, or nobody");
    }
  }

  /** Ends a refresh token at the provider, if it can do that; else it ends by itself. */
  async #revoke(refreshToken: string | undefined): Promise<void> {
    try {
      const server = await this.#discover();
      if (refreshToken && server.revocation_endpoint) {
        await oauth.revocationRequest(server, this.#client, oauth.None(), refreshToken, this.#options);
      }
    } catch {
      // Without a network, such as this.
    }
  }

  #keep(session: Session): void {
    this.#session = session;
    sessionStorage.setItem(SESSION, JSON.stringify(session));
  }

  #hear(word: Word): void {
    switch (word.kind) {
      case "who":
        if (this.#session) {
          this.#channel.postMessage({ kind: "session", session: this.#session } satisfies Word);
        }
        break;
      case "session":
        this.#others.set(word.session.userId, word.session);
        this.#othersChanged();
        break;
      case "refreshed":
        if (word.session.userId === this.#session?.userId) {
          this.#access = word.access;
          this.#keep(word.session);
        } else if (this.#others.has(word.session.userId)) {
          this.#others.set(word.session.userId, word.session);
        }
        break;
      case "signedOut":
        this.#others.delete(word.userId);
        this.#othersChanged();
        if (word.userId === this.#session?.userId) {
          this.#forget();
          this.#channel.postMessage({ kind: "gone", userId: word.userId } satisfies Word);
          this.#signedOutElsewhere();
        }
        break;
      case "gone":
        // What this one had answered may have come after the word of the sign-out.
        this.#others.delete(word.userId);
        this.#othersChanged();
        if (!this.#session) {
          this.#askWho();
        }
        break;
    }
  }

  #discover(): Promise<oauth.AuthorizationServer> {
    this.#server ??= (async () => {
      const issuer = new URL(this.#config.issuer);
      const response = await oauth.discoveryRequest(issuer, this.#options);
      return oauth.processDiscoveryResponse(issuer, response);
    })();
    this.#server.catch(() => {
      // Without a network there is another try later.
      this.#server = undefined;
    });
    return this.#server;
  }
}

function ends(): Readonly<Record<string, number>> {
  return JSON.parse(localStorage.getItem(ENDS) ?? "{}");
}

/** What the tab has kept, unless that ended meanwhile. */
function keptSession(): Session | undefined {
  const kept = sessionStorage.getItem(SESSION);
  const session = kept ? (JSON.parse(kept) as Session) : undefined;
  if (session && (session.since ?? 0) <= (ends()[session.userId] ?? -1)) {
    sessionStorage.removeItem(SESSION);
    return undefined;
  }
  return session;
}

function accessOf(tokens: oauth.TokenEndpointResponse): Access {
  const lifetime = (tokens.expires_in ?? 300) * 1_000;
  return { token: tokens.access_token, until: Date.now() + lifetime };
}

function redirectUri(): string {
  return `${location.origin}/signed-in`;
}
