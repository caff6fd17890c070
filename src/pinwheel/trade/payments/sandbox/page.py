"""The page on which the sandbox asks its simulated buyer to confirm."""

from __future__ import annotations

from html import escape

from pinwheel.trade.payments.sandbox.provider import Page

SENTENCES = {
    "en": {
        "title": "Payment sandbox",
        "simulated": "This is a simulation: no bank is asked and no money moves.",
        "ask": "Do you confirm this payment?",
        "approve": "Approve",
        "decline": "Decline",
        "over": "This payment has been decided already.",
        "back": "Back to the shop",
    },
    "zh-CN": {
        "title": "支付沙箱",
        "simulated": "此页面为模拟：不会联系任何银行，也不会产生真实扣款。",
        "ask": "是否确认这笔支付？",
        "approve": "确认支付",
        "decline": "拒绝支付",
        "over": "这笔支付已有结果。",
        "back": "返回商店",
    },
}


def challenge_page(page: Page, language: str, amount: str) -> str:
    """The whole page; ``amount`` is ready to be read."""
    say = SENTENCES.get(language, SENTENCES["en"])
    if page.state == "needs_action":
        body = (
            f"<p>{say['ask']}</p>"
            f'<form method="post" action="/{language}/sandbox/payments/{page.payment_id}">'
            f'<button class="button" name="approve" value="true">{say["approve"]}</button> '
            f'<button class="button" data-kind="plain" name="approve" value="false">'
            f"{say['decline']}</button></form>"
        )
    else:
        body = f'<p role="status">{say["over"]}</p><p><a href="/{language}/">{say["back"]}</a></p>'
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{say['title']}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        '<link rel="stylesheet" href="/static/tokens.css">'
        '<link rel="stylesheet" href="/static/parts.css">'
        '<link rel="stylesheet" href="/static/shop.css"></head>'
        f'<body class="bare"><main id="main" class="bare-main stack"><h1>{say["title"]}</h1>'
        f'<p class="demo-note">{say["simulated"]}</p>'
        f"<p><strong>{escape(amount)}</strong></p>{body}</main></body></html>"
    )
