// Texts of the report's panel; headings and definitions of the figures come with the report itself.

export const REPORT_TEXTS = {
  report: ["绩效报表", "Performance report"],
  report_of: ["报表范围", "Report of"],
  report_day: ["日报", "Day"],
  report_month: ["月报", "Month"],
  report_by: ["分组", "By"],
  by_window: ["按窗口", "By window"],
  by_staff: ["按人员", "By staff"],
  by_service: ["按业务", "By service"],
  report_show: ["查看", "Show"],
  report_busy: ["正在统计…", "Counting…"],
  report_definitions: ["指标口径", "What the figures mean"],
  report_total: ["合计", "Total"],
  report_before: ["上月 {month}", "Month before {month}"],
  report_year_before: ["去年同月 {month}", "Year before {month}"],
  report_nobody: ["未到窗", "None"],
  report_as_of: ["{name} {of}，截至 {at}", "As of {at}"],
  report_empty: ["这一天（月）没有业务记录", "Nothing is on record for it"],
};
