/** Who is signed in, and what they look at. */

import { useStore } from "chat-client/react";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { Announcer } from "./announcer.tsx";
import type { Auth, Session } from "./auth.ts";
import { type Chat, ChatContext, useAction, useChat } from "./chat.tsx";
import type { Config } from "./config.ts";
import { ConversationScreen } from "./conversation.tsx";
import { useI18n } from "./i18n.tsx";
import { JoinNotices, Notifier } from "./notifier.tsx";
import { openChat } from "./open-chat.ts";
import { Dialog, Empty, Fault, Icon, type IconName, Link, Waiting } from "./parts.tsx";
import { parse, type Route, usePath } from "./router.ts";
import { ProfileForm, Settings } from "./settings.tsx";
import { Chats, ConnectionLine } from "./sidebar.tsx";

const JoinScreen = lazy(() => import("./join.tsx"));
const People = lazy(() => import("./people.tsx").then((it) => ({ default: it.People })));

export function App({ auth, config, first }: { auth: Auth; config: Config; first: Chat | undefined }) {
  const { texts } = useI18n();
  const [chat, setChat] = useState(first);
  const [isReturning, setIsReturning] = useState(() => location.pathname === "/signed-in");
  const [problem, setProblem] = useState<"signInFailed" | "sessionEnded">();

  useEffect(() => {
    // Twice in development: the second one finds that the first has taken it.
    auth.takeReturn().then(
      (isReturn) => {
        if (isReturn) {
          history.replaceState(null, "", auth.returnTo);
          setChat(auth.session && openChat(auth, config, auth.session));
        } else if (location.pathname === "/signed-in") {
          history.replaceState(null, "", "/");
        }
        setIsReturning(false);
      },
      () => {
        // From where one may try again.
        history.replaceState(null, "", auth.returnTo);
        setProblem("signInFailed");
        setIsReturning(false);
      },
    );
  }, [auth, config]);

  useEffect(() => {
    chat?.ended.then((isWanted) => {
      auth.signOut();
      setProblem(isWanted ? undefined : "sessionEnded");
      setChat((now) => (now === chat ? undefined : now));
    });
  }, [auth, chat]);

  if (isReturning) {
    return <Empty title={texts.signingIn} />;
  }
  if (!chat) {
    return (
      <SignIn
        auth={auth}
        problem={problem && texts[problem]}
        onSession={(session) => setChat(openChat(auth, config, session))}
      />
    );
  }
  return (
    <ChatContext key={chat.userId} value={chat}>
      <Announcer>
        <Notifier />
        <JoinNotices />
        <Screens />
      </Announcer>
    </ChatContext>
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

function Screens() {
  const { texts } = useI18n();
  const path = usePath();
  const route = useMemo(() => parse(path), [path]);
  const isInside = route.kind === "conversation" || route.kind === "join";
  return (
    <div className={isInside ? "screens inside" : "screens"}>
      <Navigation route={route} />
      <main>
        <section className="side" aria-label={texts[isInside ? "chats" : route.kind]}>
          <ConnectionLine />
          {route.kind === "people" && (
            <Suspense fallback={<Waiting rows={5} />}>
              <People />
            </Suspense>
          )}
          {route.kind === "settings" && <Settings />}
          {(route.kind === "chats" || isInside) && (
            <Chats openId={route.kind === "conversation" ? route.id : undefined} />
          )}
        </section>
        <section className="main" aria-label={texts.conversation}>
          {route.kind === "conversation" && <ConversationScreen key={route.id} {...route} />}
          {route.kind === "join" && (
            <Suspense fallback={<Waiting rows={3} />}>
              <JoinScreen key={route.token} token={route.token} />
            </Suspense>
          )}
          {!isInside && <Nothing />}
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
