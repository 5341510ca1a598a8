import "./styles.css";
import { Component, type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { Auth } from "./auth.ts";
import { loadConfig } from "./config.ts";
import { I18nProvider, speak, useI18n } from "./i18n.tsx";
import { openChat } from "./open-chat.ts";
import { Empty } from "./parts.tsx";
import { applyTheme } from "./theme.ts";

function Broken() {
  const { texts } = useI18n();
  return (
    <Empty title={texts.brokenTitle} text={texts.brokenText}>
      <button type="button" className="button primary" onClick={() => location.reload()}>
        {texts.reload}
      </button>
    </Empty>
  );
}

/** A defect in what is shown leaves a page that says so. */
class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    return this.state.isBroken ? <Broken /> : this.props.children;
  }
}

function CannotStart({ reason }: { reason: string }) {
  const { texts } = useI18n();
  return (
    <Empty title={texts.cannotStart} text={reason}>
      <button type="button" className="button primary" onClick={() => location.reload()}>
        {texts.tryAgain}
      </button>
    </Empty>
  );
}

/** How long the page stays empty for what the device has kept, in milliseconds. */
const RESTORE_TIME = 100;

async function start(): Promise<ReactNode> {
  try {
    const config = await loadConfig();
    const auth = new Auth(config);
    const { session } = auth;
    // Now, and not when all of the page is there: the device reads what it has kept meanwhile.
    const first = session && openChat(auth, config, session);
    // Drawn once, with what it had kept, sooner than twice; a slow device shows that something is on its way.
    await Promise.race([first?.client.restored, new Promise((resolve) => setTimeout(resolve, RESTORE_TIME))]);
    return <App auth={auth} config={config} first={first} />;
  } catch (cause) {
    return <CannotStart reason={cause instanceof Error ? cause.message : String(cause)} />;
  }
}

/** What browsers have and TypeScript does not know of yet. */
interface TrustedWindow extends Window {
  readonly trustedTypes?: {
    createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL(url: string): string };
  };
}

performance.mark("chat-script-start");
applyTheme();
const place = document.getElementById("root") as HTMLElement;
Promise.all([speak(), start()]).then(
  ([spoken, page]) =>
    createRoot(place).render(
      <StrictMode>
        <I18nProvider first={spoken}>
          <Boundary>{page}</Boundary>
        </I18nProvider>
      </StrictMode>,
    ),
  () => {
    // Without a language, in all of them.
    place.textContent = "This page could not be loaded. Try again. \u2068تعذّر تحميل هذه الصفحة. حاول مرة أخرى.\u2069";
  },
);

if ("serviceWorker" in navigator && import.meta.env.PROD) {
  // The one script that is named by a text; the page's policy allows no other.
  const policy = (window as TrustedWindow).trustedTypes?.createPolicy("service-worker", {
    createScriptURL: () => "/sw.js",
  });
  const url = policy?.createScriptURL("") ?? "/sw.js";
  navigator.serviceWorker.register(url).catch(() => {
    // Then it does not open without a network; all else works.
  });
}
