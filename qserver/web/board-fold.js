// The fold of board events, step for step the one the server and the other displays use: a call or recall heads the
// list, a window takes the event's state and shows a number only while called or serving, a service takes the
// event's waiting count. `config` and `notice` change nothing here: a snapshot follows them.

const CALLS = 20;

// From the `board` of a snapshot: {hall, calls, windows: Map id -> {id, name, state, ticket}, waiting, notices}.
export function fromSnapshot(board) {
  return {
    hall: board.hall,
    calls: [...board.calls],
    windows: new Map(board.windows.map((window) => [window.id, window])),
    waiting: { ...board.waiting },
    notices: [...board.notices],
  };
}

// Takes one event, in place. Answers the call it adds, or null.
export function apply(board, event) {
  if (event.window !== undefined && event.state !== undefined) {
    const name = board.windows.get(event.window)?.name ?? event.window;
    const ticket = event.state === "called" || event.state === "serving" ? event.ticket ?? null : null;
    board.windows.set(event.window, { id: event.window, name, state: event.state, ticket });
  }
  if (event.service !== undefined && event.waiting !== undefined) board.waiting[event.service] = event.waiting;
  if ((event.k !== "call" && event.k !== "recall") || !event.ticket || event.window === undefined) return null;
  const call = {
    s: event.s, ticket: event.ticket, window: event.window, service: event.service ?? "", n: event.n ?? 1,
    at_ms: event.at_ms,
  };
  board.calls.unshift(call);
  board.calls.length = Math.min(board.calls.length, CALLS);
  return call;
}
