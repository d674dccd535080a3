"""The report in Chinese (simplified)."""

from __future__ import annotations

from typing import Final

CHINESE: Final = {
    "lang": "zh-Hans",
    "months": "1 2 3 4 5 6 7 8 9 10 11 12",
    "date": "{year} 年 {month} 月 {day} 日",
    "comma": "、",
    "and_more": "{shown}，另有 {n} 项",
    "fewer_than_1": "不到 1",
    "more_than_99": "99 以上",
    "unknown": "未知",
    # -- head
    "title": "客户流失报告：{name}",
    "as_of": "截至 {date}。",
    "no_date": "尚未到第一个判断日。",
    "meaning": "流失：{horizon} 天内没有购买。活跃：最近 {active} 天内买过。",
    "from_backtest": "来自历史记录，按当时的顺序逐日判断。",
    "from_live": "来自线上系统。",
    "skip": "跳到详细内容",
    "contents": "本页内容",
    # -- first screen: how many
    "risk.title": "有流失风险的顾客",
    "risk.big": "位有流失风险（活跃顾客共 {judged} 位，即每 100 位中 {of_100} 位）",
    "risk.expected": (
        "总体上，我们预计其中约 {expected} 位（每 100 位中 {of_100} 位）在未来 {horizon} 天内不会购买。"
    ),
    "risk.none": "还没有活跃顾客，因此无人有风险。",
    "risk.means": "有风险：这样的顾客每 100 位中，我们预计至少 {least} 位在未来 {horizon} 天内不会购买。",
    "tier.none": "无风险",
    "tier.medium": "中",
    "tier.high": "高",
    "tier.critical": "极高",
    # -- first screen: trust
    "trust.title": "预警可信吗？",
    "trust.precision": "我们预警过的每 100 位顾客中，有 {n} 位没有回来。",
    "trust.base_rate": "如果随意挑选，每 100 位中是 {n} 位。",
    "trust.recall": "离开的每 100 位顾客中，我们事先预警了 {n} 位。",
    "trust.rare": (
        "我们每次只预警每 100 位顾客中的 {warned} 位。想触达更多离开者，请按风险排序联系：最高的 10% 中"
        "有离开者的 {reached}%。"
    ),
    "trust.span": "统计范围：{first} 至 {last} 的预警，其结果均已知。",
    "trust.so_far": "目前可验证的预警有 {called} 次：其中 {found} 位顾客没有回来。",
    "trust.outcome": "我们预警过的每 100 位顾客中，有 {n} 位没有回来；我们当时说的是 {said} 位。",
    "trust.early.short": "为时尚早",
    "trust.early": "预热中：一次预警要 {horizon} 天后才能验证，目前已验证的太少。",
    "trust.good.short": "可信",
    "trust.good": "预警找到了会离开的顾客，说的概率也准。",
    "trust.bold.short": "可信，但有些夸大",
    "trust.bold": "预警找到了会离开的顾客，但实际离开的比说的少。",
    "trust.timid.short": "可信，而且偏保守",
    "trust.timid": "预警找到了会离开的顾客，实际离开的比说的还多。",
    "trust.useless.short": "暂不可信",
    "trust.useless": "被预警的顾客并不比其他人更常离开。",
    # -- first screen: change
    "change.title": "有什么变化？",
    "change.up.short": "风险上升",
    "change.down.short": "风险下降",
    "change.same.short": "变化不大",
    "change.up": "有风险的变多了：每 100 位顾客中 {now} 位，{date}时为 {before} 位。",
    "change.down": "有风险的变少了：每 100 位顾客中 {now} 位，{date}时为 {before} 位。",
    "change.same": "有风险的与{date}时相当：每 100 位顾客中 {now} 位。",
    "change.first": "还没有更早的日期可以比较。",
    "change.loss": "自{date}起，预测不如平时准确。",
    "change.no_loss": "预测与平时一样准确。",
    "change.inputs": "顾客与模型学习时相比有所不同：{names}。",
    "change.no_inputs": "顾客与模型学习时相似。",
    "change.champion": "自{date}起由另一个模型主导：{model}。",
    "change.early": "第一批结果出来后才能说明变化。",
    # -- trend
    "trend.title": "流失如何变化",
    "trend.plain": (
        "每个点是一个判断日。实线是之后 {horizon} 天内没有购买的活跃顾客比例；它止于 {horizon} 天前，因为"
        "更晚的结果还不知道。虚线是我们事先的预测：两条线越接近越好。“有风险”指达到当时最低风险等级的顾客。"
    ),
    "trend.actual": "没有回来",
    "trend.forecast": "我们的预测",
    "trend.at_risk": "有风险",
    "trend.axis": "每 100 位活跃顾客",
    "trend.pending": "结果尚未知",
    "trend.alt": (
        "随时间变化的曲线。最近已知流失：每 100 位中 {actual} 位；最新预测：{forecast} 位；有风险："
        "{at_risk} 位。"
    ),
    # -- risk distribution
    "spread.title": "现在谁有风险",
    "spread.plain": "每位活跃顾客都在某一条柱子里，越靠右越可能离开。颜色是预警的风险等级。",
    "spread.axis": "这样的顾客每 100 人中，预计多少人不会回来",
    "spread.count": "顾客数",
    "spread.alt": "按风险的顾客柱状图：无风险 {none} 人，中 {medium} 人，高 {high} 人，极高 {critical} 人。",
    "spread.table": "风险等级：现在有多少顾客，从前的后来如何",
    "spread.level": "风险等级",
    "spread.from": "起点",
    "spread.now": "现有顾客",
    "spread.share": "每 100 人",
    "spread.said": "我们说的",
    "spread.left": "实际离开",
    "spread.note": "后几列是回顾：曾在这一等级的每 100 位顾客中，我们预计多少位离开，实际离开了多少位。",
    # -- importance
    "importance.title": "模型看重什么",
    "importance.plain": "柱子越长，它使一般顾客的风险上下变动得越多。",
    "importance.axis": "对数几率中的平均份额",
    "importance.alt": "影响风险的因素柱状图，由强到弱：{names}。",
    "importance.table": "符合常识的最强信号",
    "importance.signal": "信号",
    "importance.theme": "关于",
    "importance.weight": "权重",
    "importance.direction": "越多则",
    "importance.up": "风险越高",
    "importance.down": "风险越低",
    "importance.note": (
        "权重：相对于平均顾客，在对数几率中的平均绝对份额。一个主题的权重是其信号相互抵消后剩下的部分。"
        "它们只作描述，不证明因果。"
    ),
    # -- horizon
    "horizon.title": "预测期适合本店吗？",
    "horizon.plain": (
        "在 {customers} 位至少有两天下过单的顾客中，一半通常在 {gap} 天内再次下单。每 100 位中有 {beyond} 位"
        "平时的间隔就长于 {horizon} 天的预测期：他们照常下单，也会被算作流失。"
    ),
    "horizon.suits": "因此这个预测期适合本店。",
    "horizon.longer": ("{days} 天的预测期适合其中五分之四的顾客。这样预警的含义更重，但结果要更晚才知道。"),
    # -- signals
    "signals.title": "所有信号，包括与常识相反的",
    "signals.plain": (
        "含义相近的信号分享权重，其中一个可能抵消另一个说得过多的部分：这时在模型中它越多风险越低，"
        "尽管人人都以为相反。预警把同一主题的信号加在一起，绝不把这样的信号作为理由。"
    ),
    "signals.table": "权重最大的信号",
    "signals.expected": "常识认为",
    "signals.both": "视情况而定",
    "signals.either": "两者皆可",
    # -- reach
    "reach.title": "如果只能联系一部分顾客",
    "reach.plain": (
        "联系风险最高的 {share}%，能触达即将离开者的 {reached}%。随机联系同样多的人只能触达 {share}%。"
    ),
    "reach.note": "{first} 至 {last} 的每个决策日各自评判：当时谁的风险最高，后来谁离开了。",
    "reach.x": "每 100 位顾客中联系多少位（风险高者先）",
    "reach.y": "每 100 位离开者中触达多少位",
    "reach.model": "按我们的风险",
    "reach.random": "随机",
    "reach.alt": "触达的离开者与联系的顾客之间的曲线，高于代表随机的直线。",
    "reach.table": "有限的预算能触达多少",
    "reach.contacted": "联系，每 100 位",
    "reach.precision": "每联系 100 位，其中离开（精确率）",
    "reach.recall": "每 100 位离开者，触达（召回率）",
    "reach.lift": "是随机的多少倍（提升度）",
    "held.table": "不可信的变化：自该时点起，实时预警被暂缓",
    "held.since": "决策时间",
    "held.why": "不可信之处",
    "held.crossing": "同时进入风险的顾客之多",
    "held.orders": "购买顾客之少",
    "held.value": "每 100（活跃顾客；通常的购买者）",
    "held.limit": "可信的界限",
    "closed.table": "店铺关闭的日子：这些天的沉默不作为对顾客不利的证据",
    "closed.first": "从",
    "closed.last": "到",
    "closed.days": "天数",
    "change.held": "自 {date} 起预警被暂缓，因为变化不可信：见 churnwatch alarms list。",
    "thresholds.table": "可选的预警阈值，以及各自在该时段能发现多少",
    "thresholds.threshold": "阈值（中）",
    "thresholds.alerted": "每 100 位顾客，有流失风险",
    "thresholds.precision": "每 100 位有风险者，其中离开（精确率）",
    "thresholds.recall": "每 100 位离开者，有风险（召回率）",
    "thresholds.alarmed": "每 100 位活跃顾客，现在会被预警",
    "thresholds.note": (
        "若不设固定阈值，阈值由您能照顾的顾客比例（alerting.capacity）得出。"
        "要固定为表中的某个阈值，请设置 alerting.medium。"
        "有风险的顾客中，只有下一单逾期的才会被预警（alerting.only_overdue）。"
    ),
    # -- quality
    "quality.title": "预测有多准",
    "quality.plain": (
        "取一位离开的和一位留下的顾客。每 100 对中有 {n} 对，离开的那位风险更高（AUC {auc}）。瞎猜是 50 "
        "对；“多久没来谁先走”的简单规则是 {rule} 对。"
    ),
    "quality.since": "按 {date} 起的判断日评估。",
    "quality.all": "按所有已知结果的判断日评估，从第一次预测算起。",
    "quality.table": "所有模型，同样的结果",
    "quality.model": "模型",
    "quality.labels": "结果数",
    "quality.base": "总说平均值",
    "quality.note": (
        "每个概率都以发出时的样子、在结果出来时评估一次。↑ 越高越好，↓ 越低越好。对数损失和 Brier 分数："
        "预测与事实相差多远。校准误差：说 70% 时实际离开的与 70% 平均相差多少。"
    ),
    "champion": "主模型（发出预警）",
    "model.champion": "主模型",
    "model.recency": "多久没来谁先走",
    "model.pool": "全部模型的加权平均",
    "model.calibrated": "再校准的加权平均",
    "model.additive": "可加模型",
    "model.second_order": "二阶逻辑回归",
    "model.logistic": "逻辑回归",
    "model.return_probability": "仅购买节奏（BG/NBD）",
    "model.hoeffding_tree": "Hoeffding 树",
    "roc.title": "ROC 曲线",
    "roc.plain": "从风险最高者往下：每多找到一些离开者，要付出多少误报。越向左上弯越好。",
    "roc.x": "每 100 位留下者中被叫到",
    "roc.y": "每 100 位离开者中被叫到",
    "roc.alt": "ROC 曲线。主模型的曲线下面积：{auc}；瞎猜：0.5。",
    "pr.title": "精确率与召回率",
    "pr.plain": "想找到的离开者越多，预警说中的比例如何变化。点线是随意挑选。",
    "pr.x": "每 100 位离开者中找到（召回率）",
    "pr.y": "每叫到 100 位，其中离开（精确率）",
    "pr.alt": "精确率-召回率曲线。主模型的平均精确率：{ap}；随意挑选：{rate}。",
    "reliability.title": "说的概率准吗？",
    "reliability.plain": (
        "我们说 70% 时，离开的是 70% 吗？点在线上：是。在线下：夸大了。在线上方：说少了。竖线是 95% 区间。"
    ),
    "reliability.x": "我们说：每 100 位",
    "reliability.y": "实际离开：每 100 位",
    "reliability.alt": "{n} 组顾客的预测与结果，最大相差每 100 位中 {gap} 位。校准误差 {ece}。",
    "reliability.note": "同一位顾客在许多日期被判断，因此本页所有区间把 {effect} 个结果算作一个独立观测。",
    "separation.title": "两类顾客分得开吗？",
    "separation.plain": "后来离开的和留下的顾客当时得到的风险。两条曲线重叠得越少越好。",
    "separation.x": "我们说：每 100 位",
    "separation.y": "各自占比（%）",
    "separation.left": "离开的",
    "separation.stayed": "留下的",
    "separation.alt": "两条风险分布曲线。离开者的平均风险：每 100 位 {left} 位；留下者：{stayed} 位。",
    # -- over time
    "time.title": "各模型随时间的表现",
    "time.plain": (
        "上图：各日期每 100 对中，各模型排对了多少对。中图：与总说平均值相比累计领先的对数损失；高于零就"
        "比没有模型好。下图：与主模型相比；高于零就比它好。"
    ),
    "time.auc": "每 100 对中排对",
    "time.lead": "相对平均值的领先",
    "time.against": "相对主模型",
    "time.alt": "{n} 个模型各判断日的 AUC 与累计对数损失领先。",
    "weights.title": "平均值听谁的",
    "weights.plain": "各模型在加权平均中的分量。近来预测得好的增加，谁也不会被完全忽略。",
    "weights.axis": "权重（%）",
    "weights.alt": "加权平均的权重随时间变化；最新：{weights}。",
    "weights.calibration": (
        "当前再校准：斜率 {slope}，截距 {intercept}。斜率小于 1 表示概率过于极端，截距小于 0 表示偏高。"
    ),
    "weights.lead": "{date}起的主模型：{model}。",
    # -- drift
    "drift.title": "什么在漂移",
    "drift.plain": (
        "每个输入与一个预测期之前相差多少。低于 0.1 是噪声，高于 0.25 是真正的变化：顾客变了，或商店发来"
        "的数据变了。"
    ),
    "drift.axis": "群体稳定性指数（PSI）",
    "drift.alt": "最大稳定性指数的柱状图：{names}。",
    "drift.none": "还没有更早的群体可以比较。",
    "drift.events": "注意到的漂移，新的在前",
    "drift.at": "注意到",
    "drift.since": "相对于",
    "drift.what": "什么",
    "drift.level": "程度",
    "drift.strongest": "最强",
    "drift.level.moderate": "中等",
    "drift.level.large": "大",
    "drift.loss": "预测的准确度（对数损失）",
    "drift.quiet": "没有注意到漂移。",
    "drift.more": "另有 {n} 条更早的未显示。",
    # -- fairness
    "fairness.title": "对所有人一视同仁吗？",
    "fairness.plain": (
        "各群体的预警情况，附 95% 区间。如果各群体离开的比例本来不同，三个比例不可能都相等；本页展示，由"
        "人判断。"
    ),
    "fairness.none": "没有已知的群体属性：随顾客资料一起发送，就能看到这项审计。",
    "fairness.attribute": "按 {attribute}",
    "fairness.group": "群体",
    "fairness.labels": "结果数",
    "fairness.selection": "每 100 位，被预警",
    "fairness.tpr": "每 100 位离开者，被预警",
    "fairness.fpr": "每 100 位留下者，被预警",
    "fairness.gap": "说的减实际，每 100 位",
    "fairness.few": "太少，无法判断",
    "fairness.spread": (
        "群体间最大差异：被预警每 100 位相差 {selection} 位，被正确或错误预警每 100 位相差 {odds} 位。"
    ),
    "fairness.single": "没有两个足够大的群体可以比较。",
    "fairness.alt": "按 {attribute} 的预警：{groups}。",
    "fairness.alt_group": "{name} 每 100 位 {n} 位",
    # -- words and method
    "words.title": "本页用语",
    "words": (
        "活跃顾客|最近 {active} 天内买过。\n"
        "判断日|判断每位活跃顾客的日期，每 {every} 天一次。\n"
        "主模型|由它的预测发出预警；其他模型在旁边一起运行。\n"
        "AUC|离开者排在留下者前面的频率。0.5 是瞎猜，1 是完美。\n"
        "对数损失|意外的代价：0 为完美，错误的确信代价最高。\n"
        "PR-AUC|对想找到的离开者的各种数量取平均的精确率。\n"
        "Brier 分数|概率与结果之差平方的平均。\n"
        "校准误差|15 个同样大的组中预测与结果之差的平均。\n"
        "PSI|分布移动了多少：0 没有，0.1 可察觉，0.25 很大。\n"
        "95% 区间|在所统计的数量下，真实比例可能的范围。"
    ),
    "method.title": "如何测量",
    "method": (
        "共 {labels} 个结果。每 {every} 天，所有活跃顾客得到一个 {horizon} 天内不购买的概率。{horizon} 天"
        "后按实际发生的情况评估一次；模型到那时才学习它，所以没有一个预测事先知道自己的结果。"
    ),
    "warming": "预热中：还没有已知的结果。第一批将在第一个判断日之后 {horizon} 天出来。",
    "png": "图表另有单独的 PNG 文件，在本页旁边。",
}
