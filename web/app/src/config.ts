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

export async function loadConfig(): Promise<Config> {
  const response = await fetch("/config.json");
  if (!response.ok) {
    throw new Error(`/config.json: HTTP ${response.status}`);
  }
  const config = (await response.json()) as Partial<Config>;
  const { issuer, clientId, scope = "openid", serviceUrl = location.origin, audience } = config;
  if (!issuer || !clientId) {
    throw new Error("/config.json lacks issuer or clientId");
  }
  return { issuer, clientId, scope, serviceUrl, ...(audience && { audience }) };
}
