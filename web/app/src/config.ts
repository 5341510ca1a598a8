/** Where the page signs people in, and where the service is. A deployment says so in `/config.json`. */
export interface Config {
  /** The OIDC provider's issuer URL. */
  readonly issuer: string;
  readonly clientId: string;
  /** What is asked of the provider besides: `openid`, and `offline_access` where refresh tokens want it. */
  readonly scope: string;
  /** The service's URL. */
  readonly serviceUrl: string;
  /** Who the access token is for, where the provider wants to be told. */
  readonly audience?: string;
}

const KEPT = "chat-config";

/** As it was the last time, if there was one, so that nothing waits for the network; a change counts from the next time on. */
export async function loadConfig(): Promise<Config> {
  const kept = localStorage.getItem(KEPT);
  const newest = readConfig();
  if (!kept) {
    return newest;
  }
  newest.catch(() => {
    // Without a network, the one that is kept is all there is.
  });
  return JSON.parse(kept) as Config;
}

async function readConfig(): Promise<Config> {
  const response = await fetch("/config.json");
  if (!response.ok) {
    throw new Error(`/config.json: HTTP ${response.status}`);
  }
  const config = parse((await response.json()) as Partial<Config>);
  localStorage.setItem(KEPT, JSON.stringify(config));
  return config;
}

function parse(config: Partial<Config>): Config {
  const { issuer, clientId, scope = "openid", serviceUrl = location.origin, audience } = config;
  if (!issuer || !clientId) {
    throw new Error("/config.json lacks issuer or clientId");
  }
  return { issuer, clientId, scope, serviceUrl, ...(audience && { audience }) };
}
