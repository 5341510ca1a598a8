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
  | { readonly kind: "refreshed"; readonly userId: string; readonly refreshToken: string };

const SESSION = "chat-session";
const PENDING = "chat-signing-in";
/** A token that ends within this time is not used any more, in milliseconds. */
const MARGIN = 30_000;

/** The person has to sign in again. */
export class SignedOut extends Error {}

export class Auth {
  readonly #config: Config;
  readonly #client: oauth.Client;
  readonly #options: { [oauth.allowInsecureRequests]: boolean };
  readonly #channel = new BroadcastChannel("chat-sessions");
  readonly #others = new Map<string, Session>();
  #othersChanged = () => {};
  #server: Promise<oauth.AuthorizationServer> | undefined;
  #session: Session | undefined;
  #access: { readonly token: string; readonly until: number } | undefined;
  #refreshing: Promise<string> | undefined;

  constructor(config: Config) {
    this.#config = config;
    this.#client = { client_id: config.clientId };
    // Of this machine's own issuer alone.
    const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(new URL(config.issuer).hostname);
    this.#options = { [oauth.allowInsecureRequests]: isLocal };
    const kept = sessionStorage.getItem(SESSION);
    this.#session = kept ? (JSON.parse(kept) as Session) : undefined;
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    if (!this.#session) {
      this.#channel.postMessage({ kind: "who" } satisfies Word);
    }
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** People who are signed in in other tabs. */
  get others(): readonly Session[] {
    return [...this.#others.values()];
  }

  onOthers(changed: () => void): void {
    this.#othersChanged = changed;
  }

  /** Goes on as somebody who is signed in in another tab. */
  join(session: Session): void {
    this.#keep(session);
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

  /** Takes what the provider's page has sent back. Answers where the person wanted to go, if this is such a return. */
  async takeReturn(): Promise<string | undefined> {
    const url = new URL(location.href);
    const kept = sessionStorage.getItem(PENDING);
    if (url.pathname !== "/signed-in" || !kept) {
      return undefined;
    }
    sessionStorage.removeItem(PENDING);
    const { state, nonce, verifier, returnTo } = JSON.parse(kept) as PendingSignIn;
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
    this.#takeAccess(tokens);
    this.#keep({ userId: claims?.sub ?? "", refreshToken: tokens.refresh_token });
    return returnTo;
  }

  /** The token to call with; another one than the service has refused. */
  async token(refused?: string): Promise<string> {
    if (this.#access && this.#access.token !== refused && this.#access.until > Date.now() + MARGIN) {
      return this.#access.token;
    }
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  signOut(): void {
    sessionStorage.removeItem(SESSION);
    this.#session = undefined;
    this.#access = undefined;
  }

  async #refresh(): Promise<string> {
    const session = this.#session;
    if (!session?.refreshToken) {
      throw new SignedOut("there is no session to refresh");
    }
    const server = await this.#discover();
    return navigator.locks.request(`chat-refresh:${session.userId}`, async () => {
      // As it is by now: another tab may have refreshed it while this one waited.
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
        if (tokens.refresh_token) {
          this.#keep({ ...session, refreshToken: tokens.refresh_token });
          const { userId } = session;
          this.#channel.postMessage({
            kind: "refreshed",
            userId,
            refreshToken: tokens.refresh_token,
          } satisfies Word);
        }
        return this.#takeAccess(tokens);
      } catch (cause) {
        if (cause instanceof oauth.ResponseBodyError && cause.error === "invalid_grant") {
          throw new SignedOut("the session has ended", { cause });
        }
        throw cause;
      }
    });
  }

  #takeAccess(tokens: oauth.TokenEndpointResponse): string {
    const lifetime = (tokens.expires_in ?? 300) * 1_000;
    this.#access = { token: tokens.access_token, until: Date.now() + lifetime };
    return tokens.access_token;
  }

  #keep(session: Session): void {
    this.#session = session;
    sessionStorage.setItem(SESSION, JSON.stringify(session));
  }

  #hear(word: Word): void {
    if (word.kind === "who") {
      if (this.#session) {
        this.#channel.postMessage({ kind: "session", session: this.#session } satisfies Word);
      }
    } else if (word.kind === "session") {
      this.#others.set(word.session.userId, word.session);
      this.#othersChanged();
    } else if (word.userId === this.#session?.userId) {
      this.#keep({ userId: word.userId, refreshToken: word.refreshToken });
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

function redirectUri(): string {
  return `${location.origin}/signed-in`;
}
