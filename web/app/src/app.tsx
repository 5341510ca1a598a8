/** Who is signed in, and what they look at. */

import { ChatClient } from "chat-client";
import { useStore } from "chat-client/react";
import { useEffect, useEffectEvent, useMemo, useState } from "react";
import { Announcer } from "./announcer.tsx";
import { type Auth, type Session, SignedOut } from "./auth.ts";
import { type Chat, ChatContext, useAction, useChat } from "./chat.tsx";
import { forgetDrafts } from "./composer.tsx";
import type { Config } from "./config.ts";
import { ConversationScreen } from "./conversation.tsx";
import { useI18n } from "./i18n.tsx";
import { Notifier, notificationsAreOn } from "./notifier.tsx";
import { Dialog, Empty, Fault, Icon, type IconName, Link } from "./parts.tsx";
import { People } from "./people.tsx";
import { parse, type Route, usePath } from "./router.ts";
import { ProfileForm, Settings } from "./settings.tsx";
import { Chats, ConnectionLine } from "./sidebar.tsx";

/** How long a page may be hidden before it lets its connection go, in milliseconds. */
const HIDDEN_FOR = 300_000;

export function App({ auth, config }: { auth: Auth; config: Config }) {
  const { texts } = useI18n();
  const [session, setSession] = useState(auth.session);
  const [state, setState] = useState<"starting" | "ready" | "ended">(() =>
    location.pathname === "/signed-in" ? "starting" : "ready",
  );
  const [error, setError] = useState<string>();

  useEffect(() => {
    // Twice in development: the second one finds that the first has taken it.
    auth.takeReturn().then(
      (returnTo) => {
        if (returnTo !== undefined) {
          history.replaceState(null, "", returnTo);
          setSession(auth.session);
        } else if (location.pathname === "/signed-in") {
          history.replaceState(null, "", "/");
        }
        setState("ready");
      },
      () => {
        history.replaceState(null, "", "/");
        setError(texts.signInFailed);
        setState("ready");
      },
    );
  }, [auth, texts]);

  if (state === "starting") {
    return <Empty title={location.pathname === "/signed-in" ? texts.signingIn : texts.loading} />;
  }
  if (!session) {
    const problem = state === "ended" ? texts.sessionEnded : error;
    return <SignIn auth={auth} problem={problem} onSession={setSession} />;
  }
  return (
    <SignedIn
      key={session.userId}
      auth={auth}
      config={config}
      session={session}
      onEnd={(isWanted) => {
        auth.signOut();
        setSession(undefined);
        setState(isWanted ? "ready" : "ended");
      }}
    />
  );
}

function SignIn({
  auth,
  problem,
  onSession,
}: {
  auth: Auth;
  problem: string | undefined;
  onSession: (session: Session) => void;
}) {
  const { texts } = useI18n();
  const [others, setOthers] = useState(auth.others);
  const { run, isBusy, error } = useAction(() => auth.signIn(location.pathname));
  useEffect(() => {
    const look = () => setOthers(auth.others);
    auth.onOthers(look);
    // Those that answered before anybody listened.
    look();
  }, [auth]);
  return (
    <main className="sign-in">
      <img src="/icon.svg" alt="" width="72" height="72" />
      <h1>{texts.signInTitle}</h1>
      <p>{texts.signInText}</p>
      {(error ?? problem) && <Fault text={error ?? problem} />}
      <button type="button" className="button primary" disabled={isBusy} onClick={run}>
        {texts.signIn}
      </button>
      {others.length > 0 && <p className="quiet">{texts.signInElsewhere}</p>}
      {others.map((other) => (
        <button
          key={other.userId}
          type="button"
          className="button"
          onClick={() => {
            auth.join(other);
            onSession(other);
          }}
        >
          {texts.continueAs(other.userId)}
        </button>
      ))}
    </main>
  );
}

function SignedIn({
  auth,
  config,
  session,
  onEnd,
}: {
  auth: Auth;
  config: Config;
  session: Session;
  onEnd: (isWanted: boolean) => void;
}) {
  const [chat, setChat] = useState<Chat>();
  // A session has one client, whoever renders this.
  const end = useEffectEvent(onEnd);
  useEffect(() => {
    const client = new ChatClient({
      url: config.serviceUrl,
      userId: session.userId,
      // Who wants to be notified is, for as long as the page is open.
      hiddenFor: () => (notificationsAreOn() ? Number.POSITIVE_INFINITY : HIDDEN_FOR),
      token: async (refused) => {
        try {
          return await auth.token(refused);
        } catch (cause) {
          if (cause instanceof SignedOut) {
            end(false);
          }
          throw cause;
        }
      },
    });
    const signOut = () => {
      forgetDrafts();
      client.stop({ forget: true }).finally(() => end(true));
    };
    auth.onSignedOut(signOut);
    setChat({ client, userId: session.userId, signOut });
    return () => {
      client.stop();
    };
  }, [auth, config, session.userId]);
  return (
    chat && (
      <ChatContext value={chat}>
        <Announcer>
          <Notifier />
          <Screens />
        </Announcer>
      </ChatContext>
    )
  );
}

function Screens() {
  const { texts } = useI18n();
  const path = usePath();
  const route = useMemo(() => parse(path), [path]);
  const isInside = route.kind === "conversation";
  return (
    <div className={isInside ? "screens inside" : "screens"}>
      <Navigation route={route} />
      <main>
        <section className="side" aria-label={texts[isInside ? "chats" : route.kind]}>
          <ConnectionLine />
          {route.kind === "people" && <People />}
          {route.kind === "settings" && <Settings />}
          {(route.kind === "chats" || isInside) && <Chats openId={isInside ? route.id : undefined} />}
        </section>
        <section className="main" aria-label={texts.conversation}>
          {isInside ? <ConversationScreen key={route.id} id={route.id} messageId={route.messageId} /> : <Nothing />}
        </section>
      </main>
      <Welcome />
    </div>
  );
}

function Navigation({ route }: { route: Route }) {
  const { texts } = useI18n();
  const places: readonly { readonly icon: IconName; readonly label: string; readonly to: Route }[] = [
    { icon: "chats", label: texts.chats, to: { kind: "chats" } },
    { icon: "people", label: texts.people, to: { kind: "people" } },
    { icon: "settings", label: texts.settings, to: { kind: "settings" } },
  ];
  const { client } = useChat();
  const friends = useStore(client.friends());
  const conversations = useStore(client.conversations());
  const requests = friends.filter((friend) => friend.state === "requestReceived").length;
  const unread = conversations.filter((conversation) => conversation.unreadCount > 0).length;
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${texts.appName}` : texts.appName;
  }, [unread, texts]);
  return (
    <nav className="navigation" aria-label={texts.navigation}>
      {places.map(({ icon, label, to }) => {
        const isHere = to.kind === route.kind || (to.kind === "chats" && route.kind === "conversation");
        const isNews = (to.kind === "people" && requests > 0) || (to.kind === "chats" && unread > 0);
        return (
          <Link key={icon} to={to} aria-current={isHere ? "page" : undefined}>
            <Icon name={icon} />
            <span>{label}</span>
            {isNews && <span className="dot" />}
            {isNews && <span className="for-readers">{texts.news}</span>}
          </Link>
        );
      })}
    </nav>
  );
}

function Nothing() {
  const { texts } = useI18n();
  return <Empty title={texts.nothingOpenTitle} text={texts.nothingOpenText} />;
}

/** Asks who comes for the first time for a name. */
function Welcome() {
  const { texts } = useI18n();
  const { client, userId } = useChat();
  const [isNew, setIsNew] = useState(false);
  useEffect(() => {
    client.readProfiles([userId]).then(
      (profiles) => setIsNew(profiles.length === 0),
      () => undefined,
    );
  }, [client, userId]);
  if (!isNew) {
    return undefined;
  }
  return (
    <Dialog title={texts.welcome}>
      <p>{texts.welcomeText}</p>
      <ProfileForm action={texts.start} isShort onSaved={() => setIsNew(false)} />
    </Dialog>
  );
}
