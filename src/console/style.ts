/** No framework, no font, no image: one style sheet, light and dark by the browser's own setting. */
export const CONSOLE_STYLE = `
:root{color-scheme:light dark;
--line:light-dark(#dfe2e7,#30363f);--page:light-dark(#fff,#15181d);--soft:light-dark(#f5f6f8,#1c2026);--raised:light-dark(#fff,#1f242b);
--text:light-dark(#1b1f24,#e3e6ea);--dim:light-dark(#59616d,#9aa4b2);--link:light-dark(#0b57d0,#8ab4f8);
--good:light-dark(#0a6b3d,#6fd3a0);--warn:light-dark(#8a5300,#f0b35e);--bad:light-dark(#b3261e,#f2938c);--live:light-dark(#0b57d0,#8ab4f8)}
*{box-sizing:border-box}[hidden]{display:none!important}
html,body{height:100%}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}
#sign-in:not([hidden])~#console{display:none}
#console{display:grid;grid:auto minmax(0,1fr)/17rem minmax(0,1fr);height:100dvh}
header{grid-column:1/-1;display:flex;align-items:center;gap:.9rem;padding:.45rem 1rem;border-bottom:1px solid var(--line);background:var(--soft)}
h1{font-size:1rem;margin:0;flex:1;white-space:nowrap}h2{font-size:1.05rem;margin:0;overflow-wrap:anywhere}h3,h4,h5{margin:0;font-size:.8rem}h4,h5{color:var(--dim);font-weight:600}
a{color:var(--link)}p{margin:.25rem 0}ul{list-style:none;margin:0;padding:0}
.dim{color:var(--dim)}.bad{color:var(--bad)}.good{color:var(--good)}.warn{color:var(--warn)}.live{color:var(--live)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
[role=alert]:empty,[role=status]:empty,p:empty{display:none}
button,textarea,input{font:inherit;color:inherit}
button{background:var(--raised);border:1px solid var(--line);border-radius:6px;padding:.25rem .75rem;cursor:pointer}
button:hover{border-color:var(--dim)}button:disabled{opacity:.5;cursor:default}
button.primary{background:light-dark(#0b57d0,#8ab4f8);border-color:transparent;color:light-dark(#fff,#10151c)}
button.danger{color:var(--bad);border-color:currentColor}
button.quiet{border:0;background:none;color:var(--link);padding:.1rem .2rem}
textarea,input:not([type=radio],[type=checkbox]){background:var(--page);border:1px solid var(--line);border-radius:6px;padding:.35rem .6rem;width:100%}
:focus-visible{outline:2px solid var(--link);outline-offset:1px}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{margin:.2rem 0;padding:.5rem .7rem;background:var(--soft);border-radius:6px;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.badge{font-size:.78rem;font-weight:600;white-space:nowrap}.badge:not(:empty):before{content:'';display:inline-block;width:.5em;height:.5em;border-radius:50%;background:currentColor;margin-right:.4em}
.badge.live:before{animation:pulse 1.4s infinite}@keyframes pulse{50%{opacity:.25}}@media(prefers-reduced-motion:reduce){*{animation:none!important}}
#show-threads{display:none}
#readiness{position:relative}#readiness summary{list-style:none;cursor:pointer;padding:.1rem .3rem}#readiness summary::-webkit-details-marker{display:none}
.panel{position:absolute;right:0;top:2rem;z-index:3;width:min(32rem,calc(100vw - 2rem));padding:.8rem 1rem;background:var(--raised);border:1px solid var(--line);border-radius:8px;box-shadow:0 6px 24px #0003}
.panel dl{display:grid;grid-template-columns:8rem 1fr;gap:.3rem .8rem;margin:0 0 .5rem}.panel dd{margin:0;overflow-wrap:anywhere}.panel dt{color:var(--dim)}
nav{border-right:1px solid var(--line);background:var(--soft);padding:.7rem;overflow:auto}#new-thread{width:100%;margin-bottom:.6rem}
#thread-list a{display:block;padding:.4rem .6rem;border-radius:6px;color:inherit;text-decoration:none}#thread-list a:hover{background:var(--line)}
#thread-list a[aria-current]{background:var(--raised);box-shadow:inset 3px 0 var(--link)}
.name{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.facts{display:flex;justify-content:space-between;gap:.5rem;font-size:.8rem}
main{display:flex;flex-direction:column;min-width:0;position:relative}
#thread{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem .8rem;padding:.6rem 1.25rem;border-bottom:1px solid var(--line)}
#thread .buttons{margin-left:auto;display:flex;gap:.5rem}#thread-facts{flex-basis:100%;margin:0;font-size:.8rem;overflow-wrap:anywhere}
#link{margin:0;padding:.3rem 1.25rem;background:light-dark(#fff4e0,#3a2c14);color:var(--warn)}
#transcript{flex:1;overflow:auto;padding:0 1.25rem 1rem;scrollbar-gutter:stable both-edges}#transcript:focus-visible{outline-offset:-2px}
#welcome,.runs{max-width:56rem;margin-inline:auto}#interrupts,#composer{max-width:58.5rem;margin-inline:auto;width:100%}
#welcome{padding:3rem 0 1rem}#welcome h3{font-size:1.15rem}#welcome button{margin:.2rem .4rem .2rem 0;text-align:left}
#to-end{position:absolute;left:50%;translate:-50%;bottom:9rem;z-index:2;border-radius:2rem;box-shadow:0 2px 10px #0003}
.run{padding:.9rem 0}.run+.run{border-top:1px solid var(--line)}
.run>h3{display:flex;gap:.8rem;align-items:baseline;color:var(--dim);font-weight:400}.run>h3 .badge{margin-left:auto}
.items{display:flex;flex-direction:column;gap:.55rem;margin:.5rem 0}.nested:empty{display:none}
.message p{white-space:pre-wrap;overflow-wrap:anywhere;margin:.15rem 0 .35rem}.message p code{background:var(--soft);border-radius:4px;padding:.05rem .3rem}
.message.user{background:light-dark(#eaf1fd,#1d2a3d);border-radius:8px;padding:.45rem .8rem}
.message .open>:last-child:after{content:'▍';color:var(--live)}
#readiness .policy{font-size:.78rem;font-weight:600}.retracted>.body,.retracted>summary{text-decoration:line-through;opacity:.6}
details>summary{cursor:pointer}
.reasoning>summary,.notice>summary{font-size:.87rem;color:var(--dim)}.reasoning>.body{white-space:pre-wrap;overflow-wrap:anywhere;color:var(--dim);border-left:2px solid var(--line);padding-left:.8rem;margin:.3rem 0 0 .3rem}
.reasoning.open>summary span{color:var(--live)}
.tool,.subagent{border:1px solid var(--line);border-radius:8px;overflow:hidden}.tool.failed{border-color:var(--bad)}
.tool>summary,.subagent>summary{display:flex;gap:.7rem;align-items:baseline;padding:.35rem .8rem;background:var(--soft)}
.tool[open]>summary,.subagent[open]>summary{border-bottom:1px solid var(--line)}
.tool>summary:before,.subagent>summary:before{content:'▸';color:var(--dim)}.tool[open]>summary:before,.subagent[open]>summary:before{content:'▾'}
.about{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--dim)}
.tool>.body,.subagent>.items{padding:.4rem .8rem .6rem}.subagent>p{padding:0 .8rem}.subagent{border-left:3px solid light-dark(#8a63d2,#b79cf0)}.nested{margin:.5rem 0}
dl{margin:0}.args dl,.interrupt dl{display:grid;grid-template-columns:minmax(4rem,max-content) minmax(0,1fr);gap:0 .8rem}.args dt,.interrupt dt{font-size:.8rem;color:var(--dim);padding-top:.6rem}.args dd,.interrupt dd{margin:0}.result{margin-top:.4rem}.tool.failed .result pre{color:var(--bad)}
.long pre{max-height:32rem}.long pre.cut{border-bottom-left-radius:0;border-bottom-right-radius:0;mask:linear-gradient(#000 70%,#0005)}
.notice{border-left:3px solid var(--line);padding-left:.7rem}.notice b{font-weight:600}.notice summary span{overflow-wrap:anywhere}
.notice.warn{border-color:var(--warn)}.notice.warn b{color:var(--warn)}.notice.bad{border-color:var(--bad)}.notice.bad b{color:var(--bad)}
.failure{border:1px solid var(--bad);border-radius:8px;padding:.4rem .8rem}.failure code{color:var(--bad);font-weight:600}.failure p{white-space:pre-wrap;overflow-wrap:anywhere}
.usage{font-size:.8rem}.chip{border:1px solid var(--line);border-radius:2rem;padding:.05rem .6rem;font-size:.8rem}
#interrupts{padding:.4rem 1.25rem 0;max-height:60%;overflow:auto}
.interrupt{border:1px solid var(--warn);border-radius:8px;padding:.6rem .9rem;margin-bottom:.4rem;background:light-dark(#fffaf0,#241e13)}.interrupt h3{font-size:.95rem;color:var(--warn)}
.said{white-space:pre-wrap;overflow-wrap:anywhere}fieldset.bare{border:0;padding:0;margin:0;min-width:0}fieldset:not(.bare){border:1px solid var(--line);border-radius:6px;margin:.4rem 0;padding:.4rem .7rem}
.row{display:flex;flex-wrap:wrap;gap:.5rem;margin-top:.5rem}.row input{flex:1 1 14rem;width:auto}.choice{display:flex;gap:.5rem;align-items:baseline;padding:.1rem 0}
.interrupt textarea{font:13px/1.45 ui-monospace,monospace}
#composer{display:grid;grid-template-columns:1fr auto;gap:.4rem .6rem;padding:.6rem 1.25rem .8rem}#composer textarea{resize:none}#send{align-self:end;min-width:5rem;padding:.4rem .9rem}
#delivery{grid-column:1/-1;border:0;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.87rem}#composer-problem{grid-column:1/-1}
dialog{background:var(--raised);color:inherit;border:1px solid var(--line);border-radius:8px}
@media(max-width:46rem){
#console{grid-template-columns:minmax(0,1fr)}#show-threads{display:block}h1{font-size:.9rem}header{gap:.6rem;padding:.4rem .75rem}
nav{display:none;grid-row:2;grid-column:1;z-index:2}.list nav{display:block}.list main{visibility:hidden}main{grid-row:2;grid-column:1}
#thread,#transcript,#interrupts,#composer{padding-inline:.75rem}.run>h3 code{display:none}#readiness{position:static}.panel{left:1rem;right:1rem;top:2.8rem;width:auto}
.panel dl{grid-template-columns:6rem 1fr}.row button{flex:1 1 auto}.args dl,.interrupt dl{display:block}
#readiness .policy{display:none}#transcript{scrollbar-gutter:auto}#to-end{bottom:6.5rem}}
`
