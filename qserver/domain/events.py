"""Every event the system records: the data dictionary of the analytics feed.

One event is one change of state, written in the same atomic step as the change. `Event` is the record as it stands
in the stream (a flat array, so that it packs small); `KINDS` says what each kind means; `FIELDS` each field.
Absent is 0 or '' in the record and left out of what consumers get.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

KINDS: dict[str, str] = {
    "ticket.issued": "a ticket was issued 取号",
    "ticket.called": "a ticket was called to a window 叫号",
    "ticket.recalled": "the called ticket was called again 重呼",
    "ticket.started": "service began at the window",
    "ticket.held": "the ticket was put aside 挂起",
    "ticket.unheld": "the held ticket is back in service",
    "ticket.finished": "a leg of the visit was finished 办结",
    "ticket.missed": "the called person did not come 过号",
    "ticket.returned": "a missed ticket waits again 过号恢复",
    "ticket.transferred": "the leg ended and the ticket waits elsewhere 转窗口",
    "ticket.cancelled": "the ticket was cancelled or its holder left",
    "ticket.expired": "the day turned before the ticket ended",
    "ticket.reprioritised": "the ticket's priority class was changed",
    "ticket.postponed": "the holder let others go first",
    "ticket.erased": "the ticket's telephone number was erased: its day was over",
    "ticket.undone": "the last finish or miss at the window was taken back",
    "window.opened": "a window opened",
    "window.closed": "a window closed",
    "window.paused": "a window paused 暂停服务",
    "window.resumed": "a window resumed",
    "window.taken_over": "other staff took over an open window",
    "overtime.warned": "a wait or a service comes near its limit",
    "overtime.wait": "a wait ran over its limit",
    "overtime.service": "a service ran over its limit 超时办结",
    "overtime.case": "a promised case ran over its limit",
    "rating.prompted": "the pad may ask for a rating",
    "rating.shown": "the pad showed its question: the prompt was delivered",
    "rating.recorded": "a rating was recorded 好差评",
    "rating.unrated": "the time for rating passed without one 未评价",
    "review.opened": "a negative review was opened 差评",
    "review.assigned": "a review was assigned to somebody",
    "review.verified": "a review was verified 核实",
    "review.rectified": "a review was rectified 整改",
    "review.revisited": "the citizen was asked again 回访",
    "review.appealed": "the clerk appealed 申诉",
    "review.upheld": "the assessor upheld the review 复核",
    "review.excluded": "the assessor excluded the review",
    "review.closed": "a review was closed",
    "review.reminded": "a review's term is nearly over",
    "review.late": "a review's term passed",
    "review.erased": "the citizen's words in a review were erased: their time was over",
    "review.removed": "a review left the record: its time was over",
    "case.accepted": "a promised case began 承诺件",
    "case.completed": "a promised case was completed",
    "case.removed": "a promised case left the record: its time was over",
    "case.withdrawn": "the finish that accepted the case was taken back",
    "hall.configured": "the hall's definition changed",
    "day.closed": "the business day ended",
    "notice.posted": "a notice for the screens was posted",
    "clock.stepped": "the data server's clock went back by more than 5 s",
    "service.suspended": "issuing for a service was stopped",
    "service.resumed": "issuing for a service was started again",
    "token.created": "a token was made",
    "token.revoked": "a token was revoked, or a session ended",
    "staff.added": "somebody may log in 新增人员",
    "staff.changed": "somebody's name, role or windows were changed",
    "staff.disabled": "somebody may log in no more 停用",
    "staff.enabled": "somebody may log in again 启用",
    "staff.password_changed": "somebody's password was set",
    "staff.logged_in": "somebody logged in 登录",
    "staff.logged_out": "somebody logged out 退出",
    "staff.refused": "somebody's password was given wrong",
    "staff.locked": "too many wrong passwords: nobody may log in as this person for a while 锁定",
    "webhook.created": "a webhook was made",
    "webhook.removed": "a webhook was removed",
    "webhook.changed": "a webhook got another address, other kinds or another name",
    "webhook.rotated": "a webhook got another secret",
    "webhook.disabled": "a webhook's receiver wants no more",
    "webhook.enabled": "a webhook that was disabled goes on, from then on",
    "device.connected": "a device's socket was welcomed",
    "device.lost": "a device's socket ended without being told to",
    "device.changed": "another pad than before signs the window's ratings: replaced, wiped, or a stolen token",
    "device.cloned": "a pad's counter stood twice or ran backwards: there are two of it, or an old copy was put back",
}
"""Every kind of event, `qserver.` prefixed in CloudEvents, with its meaning."""

CONTROL_HALL = "-"
"""Stands where a hall's id would, for events of no hall (tokens, staff)."""


def _doc(text: str) -> Any:
    return msgspec.Meta(description=text)


class Event(msgspec.Struct, array_like=True, frozen=True):
    """One event as recorded. The field order is the packed order; append only."""

    s: Annotated[int, _doc("the hall's sequence number; every number is exactly one event")]
    kind: Annotated[str, _doc("one of the kinds, without the leading `qserver.`")]
    at_ms: Annotated[int, _doc("the instant recorded, data server's clock, ms since the Unix epoch")]
    hall: Annotated[str, _doc("hall id; `-` for what belongs to no hall")]
    day: Annotated[str, _doc("business day YYYY-MM-DD in the hall's zone")]
    ticket: Annotated[str, _doc("ticket id")] = ""
    leg: Annotated[int, _doc("leg of the visit, from 1")] = 0
    window: Annotated[str, _doc("window id")] = ""
    service: Annotated[str, _doc("service id")] = ""
    staff: Annotated[str, _doc("who works at the window; of staff.*, token.*: whom it is about")] = ""
    actor: Annotated[
        str,
        _doc(
            "who gave the command: the staff id of whoever logged in, else the id of the token that came with it; "
            "`holder:...` behind a ticket's link, `system` for time, `anonymous` for whoever tries to log in"
        ),
    ] = ""
    n: Annotated[
        int,
        _doc(
            "the ticket's n-th event, from 1; of rating.shown and later steps of a review or a case `s` itself; 0 "
            "without a ticket"
        ),
    ] = 0
    wait_ms: Annotated[int, _doc("first call - entry into the queue, ms")] = 0
    walk_ms: Annotated[int, _doc("start - last call, ms")] = 0
    service_ms: Annotated[int, _doc("service time so far without holds, ms")] = 0
    held_ms: Annotated[int, _doc("time held so far, ms")] = 0
    due_ms: Annotated[int, _doc("when it became due, for overtime and reviews, ms since the Unix epoch")] = 0
    unreliable: Annotated[bool, _doc("the clock stepped or the day turned within the durations")] = False
    extra: Annotated[list[Any], _doc("further fields of the kind, as name, value, name, value")] = []

    @property
    def id(self) -> str:
        """`hall:day:ticket:leg:kind:n`, the same on every delivery; `hall:day:-:-:kind:s` without a ticket.

        The day is the ticket's own, whenever the event came: numbers begin anew each day.
        """
        if not self.ticket:
            return f"{self.hall}:{self.day}:-:-:{self.kind}:{self.s}"
        stamp, _, number = self.ticket.rpartition("-")
        return f"{self.hall}:{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}:{number}:{self.leg}:{self.kind}:{self.n}"

    def more(self) -> dict[str, Any]:
        """The kind's further fields by name."""
        return dict(zip(self.extra[::2], self.extra[1::2], strict=True))


EXTRA: dict[str, str] = {
    "priority": "priority class (issued, reprioritised)",
    "channel": "where the ticket was taken: guide, kiosk, ... (issued)",
    "reason": "the reason given, without numbers that could name somebody (held, paused, reprioritised, suspended, "
    "review.appealed, .upheld, .excluded, webhook.disabled); why a session ended: revoked, logged_out, taken_over, "
    "disabled, password, changed or too_many (token.revoked)",
    "outcome": "how the leg ended (finished)",
    "next_service": "service of the next leg (finished, transferred)",
    "to_window": "window the ticket is bound to (transferred, finished)",
    "sent_on": "true when the visit goes on to a leg that it was not issued with (finished)",
    "undid": "which command was taken back: finish or miss (undone)",
    "what": "wait, service or case (overtime.warned); phone or comment (ticket.erased, review.erased)",
    "limit_ms": "the limit in question, ms (overtime, review.opened of a service or a wait)",
    "score": "1..5 (rating.recorded)",
    "source": "who it comes from (rating.recorded, review.*)",
    "rid": "the device's id of the rating (rating.recorded)",
    "aspects": "indicators rated (rating.recorded)",
    "reasons": "reasons chosen (rating.recorded)",
    "form": "which list of indicators and reasons was in force when the citizen rated: its version and a digest of its "
    "words (rating.recorded)",
    "comment": "`***` when the citizen said something; the feed does not carry the words (rating.recorded, "
    "review.revisited)",
    "until_ms": "until when the pad may ask (rating.prompted), until when nobody may log in (staff.locked)",
    "signals": "what looks odd: short_service, reissued, cancelled_in_service, many_recalls, undone_before_rating, "
    "rating_burst, doubtful_pad (finished, issued, cancelled, recalled, undone, rating.recorded)",
    "review": "review id (review.*)",
    "result": "valid or invalid, satisfied or reopened (review.verified, review.revisited)",
    "to": "whom it was assigned to (review.assigned)",
    "note": "what was found or done, without numbers that could name somebody (review.*, case.completed)",
    "term": "which term: verify, rectify, revisit or decide (review.reminded, review.late)",
    "from_staff": "who worked there before (window.taken_over)",
    "services": "services of the session (window.opened)",
    "revision": "the definition's digest (hall.configured)",
    "expired": "tickets left over (day.closed)",
    "text": "the notice (notice.posted)",
    "stepped_ms": "by how much the clock went back, ms (clock.stepped)",
    "spent_ms": "how much of the limit was used, ms (review.opened of a service or a wait)",
    "rated_ms": "when the citizen rated, by the device's stopwatch (rating.recorded)",
    "shown_ms": "when the pad showed its question, by the device's stopwatch (rating.shown)",
    "number": "the pad's own count of its ratings, when it signed (rating.recorded, device.cloned)",
    "doubt": "why the pad is doubted: number_twice, number_back, unsigned (where the window's pad signs) or two_pads "
    "(one that was replaced) (rating.recorded, device.cloned)",
    "case": "the business system's number of the case (finished, case.*, overtime.case)",
    "token": "token id (token.created, token.revoked, staff.logged_in, staff.logged_out)",
    "role": "the token's or the person's role (token.*, staff.*, device.connected, device.lost)",
    "of": "the hall the token, person or webhook is bound to, empty when to none (token.*, staff.*, webhook.*)",
    "wrong": "how many wrong passwords in a row (staff.refused)",
    "webhook": "webhook id (webhook.*)",
    "device": "the device's own name (device.connected, device.lost); of a pad that signed, a digest of the id that it "
    "drew for itself (rating.recorded, rating.shown, device.changed, device.cloned)",
    "from_device": "the pad that signed before (device.changed)",
    "topic": "what the device follows (device.connected, device.lost)",
}
"""Fields that only some kinds carry, with their meaning."""
