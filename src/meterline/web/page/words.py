"""What the page says, in three languages: one table. Numbers, times and money as each language writes them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from meterline import world
from meterline.billing.tariff import WITHOUT_CENTS

CODES = ("en", "fr", "ja")

WORDS: dict[str, tuple[str, str, str]] = {
    # State of a meter.
    "speaking": ("speaking", "en ligne", "通信中"),
    "silent": ("silent", "muet", "応答なし"),
    "silent_since": ("silent since {time}", "muet depuis {time}", "{time} から応答なし"),
    "waiting": ("waiting", "en attente", "待機中"),
    "never": ("No frame yet", "Aucune trame reçue", "未受信"),
    "last_frame": ("Last frame {ago}", "Dernière trame {ago}", "最終受信 {ago}"),
    "ago_now": ("just now", "à l’instant", "たった今"),
    "ago_seconds": ("{n} s ago", "il y a {n} s", "{n} 秒前"),
    "ago_minutes": ("{n} min ago", "il y a {n} min", "{n} 分前"),
    "ago_hours": ("{n} h ago", "il y a {n} h", "{n} 時間前"),
    "ago_days": ("{n} d ago", "il y a {n} j", "{n} 日前"),
    "all_speak": ("All {total} meters speak", "Les {total} compteurs sont en ligne", "{total} 台すべて通信中"),
    "one_speaks": ("The meter speaks", "Le compteur est en ligne", "メーターと通信中"),
    "some_silent": (
        "{silent} of {total} silent: {names}",
        "{silent} sur {total} sans réponse\u00a0: {names}",
        "{total} 台中 {silent} 台が応答なし: {names}",
    ),
    "and_more": ("{names} and {n} more", "{names} et {n} autres", "{names} ほか {n} 台"),
    # Power.
    "power": ("Power", "Puissance", "電力"),
    "active_power": ("active power", "puissance active", "有効電力"),
    "apparent_power": ("apparent power", "puissance apparente", "皮相電力"),
    "injecting": ("feeding {power} into the grid", "injecte {power} sur le réseau", "{power} を送電中"),
    "injecting_all": ("feeding into the grid", "injection sur le réseau", "送電中(売電)"),
    "no_reading": ("no reading", "pas de mesure", "計測値なし"),
    "share": (
        "{percent}\u00a0% of the {power} subscribed",
        "{percent}\u00a0% des {power} souscrits",
        "契約 {power} の {percent}\u00a0%",
    ),
    "overload": (
        "Overload: more than the subscribed power is drawn, and the breaker may open.",
        "Dépassement\u00a0: plus que la puissance souscrite est appelée, le compteur peut couper.",
        "過負荷: 契約電力を超えています。ブレーカーが落ちることがあります。",
    ),
    "overload_phases": ("Phase {phases}.", "Phase {phases}.", "{phases} 相。"),
    "chart": (
        "Power over the last 30 minutes: from {low} to {high}",
        "Puissance des 30 dernières minutes\u00a0: de {low} à {high}",
        "過去 30 分の電力: {low} から {high}",
    ),
    "chart_empty": (
        "No power reading in the last 30 minutes",
        "Aucune mesure de puissance ces 30 dernières minutes",
        "過去 30 分の計測値はありません",
    ),
    "chart_start": ("30 min ago", "il y a 30 min", "30 分前"),
    "chart_end": ("now", "maintenant", "現在"),
    "phases": ("Phases", "Phases", "相"),
    "phase": ("Phase", "Phase", "相"),
    "current": ("Current", "Intensité", "電流"),
    "voltage": ("Voltage", "Tension", "電圧"),
    "apparent": ("Apparent", "Apparente", "皮相電力"),
    "phase_overload": ("overload", "dépassement", "過負荷"),
    # Tariff.
    "tariff": ("Tariff", "Tarif", "料金区分"),
    "tempo_today": ("Tempo today", "Tempo aujourd’hui", "Tempo 今日"),
    "tempo_tomorrow": ("Tempo tomorrow", "Tempo demain", "Tempo 明日"),
    "blue": ("blue", "bleu", "青"),
    "white": ("white", "blanc", "白"),
    "red": ("red", "rouge", "赤"),
    "colour_unknown": ("unknown", "inconnue", "未定"),
    "tariff_BASE": ("base", "base", "Base(全日)"),
    "tariff_HCHC": ("off-peak hours", "heures creuses", "オフピーク"),
    "tariff_HCHP": ("peak hours", "heures pleines", "ピーク"),
    "tariff_EJPHN": ("EJP, normal hours", "EJP, heures normales", "EJP 通常"),
    "tariff_EJPHPM": ("EJP, mobile peak", "EJP, pointe mobile", "EJP ピーク"),
    "tariff_BBRHCJB": ("blue day, off-peak hours", "jour bleu, heures creuses", "青の日・オフピーク"),
    "tariff_BBRHPJB": ("blue day, peak hours", "jour bleu, heures pleines", "青の日・ピーク"),
    "tariff_BBRHCJW": ("white day, off-peak hours", "jour blanc, heures creuses", "白の日・オフピーク"),
    "tariff_BBRHPJW": ("white day, peak hours", "jour blanc, heures pleines", "白の日・ピーク"),
    "tariff_BBRHCJR": ("red day, off-peak hours", "jour rouge, heures creuses", "赤の日・オフピーク"),
    "tariff_BBRHPJR": ("red day, peak hours", "jour rouge, heures pleines", "赤の日・ピーク"),
    # Energy.
    "energy": ("Energy", "Énergie", "電力量"),
    "energy_today": ("Energy today", "Énergie du jour", "今日の使用量"),
    "cost_today": ("Cost today", "Coût du jour", "今日の料金"),
    "import_register": ("Register, drawn", "Index soutiré", "積算(買電)"),
    "export_register": ("Register, fed in", "Index injecté", "積算(売電)"),
    # Line.
    "line": ("Line", "Liaison", "通信"),
    "rejected_none": ("nothing rejected", "rien de rejeté", "破棄なし"),
    "rejected": ("{n} rejected: {reasons}", "{n} rejets\u00a0: {reasons}", "破棄 {n} 件: {reasons}"),
    "reason_checksum": ("{n} with a wrong checksum", "{n} de somme fausse", "チェックサム不一致 {n}"),
    "reason_malformed": ("{n} malformed", "{n} mal formés", "形式不正 {n}"),
    "reason_unknown_label": ("{n} with an unknown label", "{n} d’étiquette inconnue", "未知のラベル {n}"),
    "reason_truncated": ("{n} cut off", "{n} tronqués", "途中で切断 {n}"),
    "reason_implausible": ("{n} held back as implausible", "{n} jugés invraisemblables", "あり得ない値 {n}"),
    "accepted": ("Damage", "Perturbation", "受信状態"),
    "accepted_part": (
        "most of what arrives is damaged: {percent}\u00a0% accepted in the last minute",
        "la plupart de ce qui arrive est altéré\u00a0: {percent}\u00a0% accepté cette dernière minute",
        "受信データの大半が破損: 直近 1 分の採用率 {percent}\u00a0%",
    ),
    "signal": ("Signal", "Signal", "電波"),
    "signal_good": ("{dbm} dBm, good", "{dbm} dBm, bon", "{dbm} dBm(良好)"),
    "signal_fair": ("{dbm} dBm, fair", "{dbm} dBm, moyen", "{dbm} dBm(普通)"),
    "signal_weak": ("{dbm} dBm, weak", "{dbm} dBm, faible", "{dbm} dBm(弱い)"),
    "session": ("Radio session", "Session radio", "無線セッション"),
    "session_since": ("since {time}", "depuis {time}", "{time} から接続中"),
    "session_none": ("none", "aucune", "未接続"),
    # The page of one meter.
    "diagnosis": ("Diagnosis", "Diagnostic", "診断"),
    "diagnosis_none": ("Nothing strange is seen.", "Rien d’anormal n’est observé.", "異常は見つかっていません。"),
    "finding": ("What is wrong", "Constat", "状況"),
    "remedy": ("What to do", "Que faire", "対処"),
    "readings": ("All readings", "Toutes les mesures", "すべての計測値"),
    "details": ("Details of {name}", "Détails de {name}", "{name} の詳細"),
    "details_short": ("Details", "Détails", "詳細"),
    "reading": ("Reading", "Mesure", "項目"),
    "value": ("Value", "Valeur", "値"),
    "no_readings": ("The meter says nothing now.", "Le compteur ne dit rien en ce moment.", "現在、計測値はありません。"),
    "wire": ("As the meter says it", "Comme le compteur le dit", "メーターの生データ"),
    "wire_label": ("Label", "Étiquette", "ラベル"),
    "wire_none": (
        "Nothing yet: it comes with the next frame.",
        "Rien encore\u00a0: cela vient avec la prochaine trame.",
        "まだありません。次の受信で表示されます。",
    ),
    "counters": ("The line in numbers", "La liaison en chiffres", "通信の統計"),
    "configuration": ("Configuration", "Configuration", "設定"),
    "key": ("Key", "Clé", "キー"),
    "hidden": ("hidden", "masqué", "非表示"),
    "yes": ("yes", "oui", "はい"),
    "no": ("no", "non", "いいえ"),
    "back": ("All meters", "Tous les compteurs", "メーター一覧"),
    # Many meters.
    "meter": ("Meter", "Compteur", "メーター"),
    "state": ("State", "État", "状態"),
    "search": ("Search by name", "Chercher par nom", "名前で検索"),
    "search_button": ("Search", "Chercher", "検索"),
    "shown": ("{first} to {last} of {total}", "{first} à {last} sur {total}", "{total} 台中 {first}–{last}"),
    "none_found": ("No meter has this in its name.", "Aucun compteur de ce nom.", "該当するメーターはありません。"),
    "pages": ("Pages", "Pages", "ページ"),
    "previous": ("Previous", "Précédents", "前へ"),
    "next": ("Next", "Suivants", "次へ"),
    # The page itself.
    "lost": (
        "Connection lost. No values are shown until it is back; it is tried again by itself.",
        "Connexion perdue. Plus de valeurs jusqu’à son retour\u00a0; un nouvel essai se fait tout seul.",
        "接続が切れました。復旧するまで値は表示しません。自動的に再接続します。",
    ),
    "as_of": (
        "Values of {time}. Without JavaScript the page loads anew every 30 seconds.",
        "Valeurs de {time}. Sans JavaScript, la page se recharge toutes les 30 secondes.",
        "{time} の値です。JavaScript なしでは 30 秒ごとに再読み込みします。",
    ),
    "metrics": ("Metrics", "Métriques", "メトリクス"),
    "ready": ("Readiness", "Disponibilité", "準備状態"),
    "healthy": ("Health", "Santé", "稼働状態"),
    "footer": ("Pages of the program", "Pages du programme", "プログラムのページ"),
}

_THOUSANDS = (",", "\u202f", ",")
_POINT = (".", ",", ".")
_MONEY = {"EUR": ("€{}", "{}\u00a0€", "€{}"), "JPY": ("¥{}", "{}\u00a0¥", "{} 円")}


class Language:
    """One of the three: `say` a text; write numbers, times and ages as it does."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.column = CODES.index(code)

    def say(self, key: str, **values: object) -> str:
        """The text, not escaped."""
        text = WORDS[key][self.column]
        return text.format(**values) if values else text

    def number(self, value: float, digits: int = 0) -> str:
        """With as many decimals; thousands apart."""
        text = f"{value:,.{digits}f}"
        return text.translate({ord(","): _THOUSANDS[self.column], ord("."): _POINT[self.column]})

    def short(self, value: float) -> str:
        """As few decimals as say it, three at most."""
        text = self.number(value, 3)
        return text.rstrip("0").rstrip(_POINT[self.column])

    def money(self, value: float, currency: str | None) -> str:
        """An amount, to the smallest unit of its currency."""
        text = self.number(value, 0 if currency in WITHOUT_CENTS else 2)
        return _MONEY[currency][self.column].format(text) if currency in _MONEY else f"{text}\u00a0{currency or ''}".strip()

    def ago(self, seconds: float) -> str:
        """How long ago that was."""
        for limit, unit, size in ((2, "now", 1), (100, "seconds", 1), (6000, "minutes", 60), (172_800, "hours", 3600)):
            if seconds < limit:
                return self.say(f"ago_{unit}", n=int(seconds // size))
        return self.say("ago_days", n=int(seconds // 86_400))


LANGUAGES = {code: Language(code) for code in CODES}


def clock_time(unix: float) -> tuple[str, str]:
    """A moment for machines, and for people in our own time zone: the browser knows its reader's, and writes that."""
    local = time.localtime(unix)
    far = abs(world.current.now() - unix) > 43_200
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", local), time.strftime("%Y-%m-%d %H:%M" if far else "%H:%M", local)


def preferred(accept: str) -> Language:
    """The language that a browser's Accept-Language likes best of those that we speak; else English."""
    best, most = "en", 0.0
    for choice in accept.split(","):
        tag, _, rest = choice.strip().partition(";")
        code = tag.partition("-")[0].lower()
        try:
            weight = float(rest.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if code in CODES and weight > most:
            best, most = code, weight
    return LANGUAGES[best]


def of_environment(variables: Mapping[str, str]) -> Language:
    """The language of a terminal: LC_ALL, else LC_MESSAGES, else LANG; English for all that we do not speak."""
    chosen = variables.get("LC_ALL") or variables.get("LC_MESSAGES") or variables.get("LANG") or ""
    return LANGUAGES.get(chosen[:2].lower(), LANGUAGES["en"])
