"""The figures of a performance report: what each is called, how it reads and what it means, in Chinese and English.

The words are printed on every report, so that a figure can be recounted and disputed. Only words live here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Column(NamedTuple):
    """One figure: its path in a report's row, its headings, how it reads, what it means."""

    path: str
    zh: str
    en: str
    kind: Literal["text", "count", "duration", "rate"]
    meaning_zh: str = ""
    meaning_en: str = ""


COLUMNS: tuple[Column, ...] = (
    Column("id", "编号", "Id", "text"),
    Column("name", "名称", "Name", "text"),
    Column("issued", "取号", "Issued", "count", "取号数，计入第一项业务；窗口和人员不计",
           "tickets issued, counted at their first service; windows and staff issue none"),
    Column("called", "叫号", "Called", "count", "被叫过的业务环节数", "legs that were called at least once"),
    Column("served", "办结", "Served", "count", "办结的业务环节数；转出不算办结",
           "legs finished at a window; a transfer is not one"),
    Column("missed", "过号", "Missed", "count",
           "叫号后始终未开始办理的环节：现为过号，或日终时过期；日终时挂起的人已到窗，不计",
           "legs called whose service never began: missed now, or expired when the day turned, unless held then: the "
           "person was there"),
    Column("left", "离开", "Left", "count", "办结前取消的环节", "legs cancelled before they were finished"),
    Column("transferred", "转出", "Transferred", "count", "转到其他窗口或业务的环节", "legs that ended in a transfer"),
    Column("expired", "过期", "Expired", "count", "日终时未结束的环节，不算办结",
           "legs that had not ended when the day turned; never counted as served"),
    Column("pending", "在途", "Pending", "count", "尚未结束的环节", "legs that have not ended yet"),
    Column("wait.mean_ms", "平均等候", "Wait mean", "duration", "等候＝首次叫号－入队，含叫过号的全部环节",
           "wait = first call - entry into the queue, over all legs called"),
    Column("wait.p50_ms", "等候中位数", "Wait p50", "duration", "一半环节的等候不超过此值",
           "half of the waits are no longer (linear between neighbours)"),
    Column("wait.p90_ms", "等候九成", "Wait p90", "duration", "九成环节的等候不超过此值",
           "nine of ten waits are no longer (linear between neighbours)"),
    Column("service.mean_ms", "平均办理", "Service mean", "duration", "办理＝办结－开始－挂起，仅办结环节",
           "service = finish - start - held, over legs served"),
    Column("service.p50_ms", "办理中位数", "Service p50", "duration", "一半环节的办理不超过此值",
           "half of the services are no longer (linear between neighbours)"),
    Column("service.p90_ms", "办理九成", "Service p90", "duration", "九成环节的办理不超过此值",
           "nine of ten services are no longer (linear between neighbours)"),
    Column("overtime.wait", "等候超时", "Wait overtime", "count", "等候超过时限的环节",
           "legs that waited over the limit"),
    Column("overtime.wait_rate", "等候超时率", "Wait overtime rate", "rate", "等候超时÷全部入队环节",
           "wait overtime / all legs that entered a queue"),
    Column("overtime.service", "办理超时", "Service overtime", "count", "办理超过时限的环节",
           "legs whose service ran over the limit"),
    Column("overtime.service_rate", "办理超时率", "Service overtime rate", "rate", "办理超时÷已开始办理的环节",
           "service overtime / legs whose service began"),
    Column("ratings.rated", "已评价", "Rated", "count", "群众本人评价（评价器或号票链接），不含默认",
           "rated by the citizen, on the pad or by the ticket's link; defaults are not ratings"),
    Column("ratings.rated_share", "评价率", "Rated share", "rate", "已评价÷办结", "rated / served"),
    Column("ratings.active_good_rate", "主动好评率", "Active good rate", "rate", "3至5级÷已评价，不含默认和系统差评",
           "levels 3 to 5 / rated; defaults and the system's own reviews stay out"),
    Column("ratings.default", "默认评价", "Default", "count", "逾期未评按规则记的默认等级，单独统计",
           "levels set by rule after silence, kept apart"),
    Column("ratings.unrated", "未评价", "Unrated", "count", "办结而本人尚未评价，不视为好评",
           "served and not rated by the citizen so far; silence is not a good rating"),
    Column("ratings.unrated_rate", "未评价率", "Unrated rate", "rate", "未评价÷办结", "unrated / served"),
    Column("negatives.rating", "差评·群众", "Negative: citizen", "count", "群众评1至2级产生的差评",
           "reviews opened by a citizen's rating of level 1 or 2"),
    Column("negatives.overtime", "差评·办理超时", "Negative: service overtime", "count", "系统因办理超时产生，可申诉",
           "reviews opened by the system for an overtime service; can be appealed"),
    Column("negatives.wait", "差评·等候超时", "Negative: wait overtime", "count", "系统因等候超时产生",
           "reviews opened by the system for an overtime wait"),
    Column("negatives.case", "差评·办件超时", "Negative: case overtime", "count", "系统因承诺件超期产生",
           "reviews opened by the system for an overdue case"),
    Column("negatives.upheld", "差评·复核维持", "Negative: upheld", "count", "经申诉复核后维持的差评，已计入以上各项",
           "upheld on appeal; they are among the negatives above"),
    Column("negatives.rectified", "差评·已整改", "Negative: rectified", "count", "已整改的差评，已计入以上各项",
           "put right in the follow-up; they are among the negatives above"),
    Column("negatives.excluded", "差评·已剔除", "Negative: excluded", "count", "经复核剔除，不计入以上各项",
           "excluded on appeal; in none of the other negatives"),
    Column("signals.short_service", "疑似·过短", "Odd: short service", "count", "办理时长远低于同业务平均，仅供核查",
           "served far below the mean of the service; a mark to look at, in no other figure"),
    Column("signals.reissued", "疑似·重复取号", "Odd: reissued", "count",
           "同一人办结后很快又取同一业务的号，或办结时转回本窗口同一业务",
           "the same person again for the same service soon after a finish, or sent back to it there by the finish"),
    Column("signals.cancelled_in_service", "疑似·办理中取消", "Odd: cancelled in service", "count",
           "已开始办理而取消，因此无法评价", "cancelled though its service had begun, so nobody could rate it"),
    Column("signals.many_recalls", "疑似·多次重呼", "Odd: many recalls", "count", "同一号票呼叫次数很多",
           "one ticket called very often"),
    Column("signals.undone_before_rating", "疑似·评前撤销", "Odd: undone before rating", "count",
           "群众评价前撤销了办结", "a finish taken back before the citizen rated"),
    Column("signals.rating_burst", "疑似·集中评价", "Odd: rating burst", "count", "同一评价器上连续评价快于常人",
           "ratings on one pad faster than citizens can follow one another"),
    Column("signals.doubtful_pad", "疑似·评价器异常", "Odd: doubtful pad", "count",
           "评价的签名或编号与该窗口的评价器不符（编号重复或倒退、未签名、已更换的评价器仍在评价）",
           "ratings whose signature or number does not fit the window's pad: a number twice or gone back, none where "
           "the pad signs, or a pad that was replaced"),
    Column("unreliable", "时长不可靠", "Unreliable", "count", "跨日终或时钟回拨的环节，不计入时长和超时",
           "legs within which the day turned or the clock stepped: in no duration and no overtime"),
)  # fmt: skip
"""Every figure in the order reports show it."""

MONTH: tuple[Column, ...] = (
    Column("month", "全月", "Month", "text",
           "各数按全月全部环节计算：中位数和九成取自全月的时长，不是各日数值的平均；未结束的月份算到截至时刻",
           "every figure is counted over all legs of the month: its percentiles are those of all its durations, never "
           "means of the days'; a month still running is counted as far as it has come"),
    Column("days", "每日", "Days", "text", "有业务的各营业日的合计", "the totals of each business day with any ticket"),
    Column("before", "上月", "Month before", "text", "上一个月全月，同一口径；无记录则空",
           "the whole month before, counted the same way; empty when nothing is known of it"),
    Column("year_before", "去年同月", "Year before", "text", "去年同月全月，同一口径；无记录则空",
           "the whole same month a year ago, counted the same way; empty when nothing is known of it"),
)  # fmt: skip
"""What a month's report says besides."""


def cells(row: object) -> list[str | int | float | None]:
    """The figures of a report's row in the order of `COLUMNS`; durations in ms, shares from 0 to 1, None = nothing."""
    found: list[str | int | float | None] = []
    for column in COLUMNS:
        value = row
        for name in column.path.split("."):
            value = getattr(value, name)
        found.append(value)  # type: ignore[arg-type]
    return found
