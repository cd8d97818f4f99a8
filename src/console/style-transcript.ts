/** The style of the transcript. */
export const TRANSCRIPT_STYLE = `
.transcript{flex:1;min-height:0;display:flex;position:relative}
#transcript{flex:1;min-width:0;overflow:auto;padding:0 1.25rem;scrollbar-gutter:stable both-edges}
#transcript:focus-visible{outline-offset:-2px}
.row,#welcome{max-width:50rem;margin-inline:auto}
.row{padding:.3rem 0}
#to-end{position:absolute;left:50%;translate:-50%;bottom:.8rem;z-index:2;border-radius:2rem;box-shadow:0 4px 14px #0003}
::highlight(found){background-color:light-dark(#ffe28a,#7a5c00);color:light-dark(#1c2024,#fff)}
.found{position:absolute;right:1.5rem;top:.6rem;z-index:2;display:flex;align-items:center;gap:.4rem;padding:.25rem .6rem;background:var(--raised);border:1px solid var(--line);border-radius:8px;font-size:.85rem;box-shadow:0 4px 14px #0002}
.run-start{display:flex;align-items:center;gap:.8rem;padding-top:.9rem;color:var(--dim);font-size:.78rem}
.run-start::before,.run-start::after{content:'';flex:1;height:1px;background:var(--line)}
.run-end{padding-bottom:.5rem;display:grid;gap:.5rem}
.run-end .facts{overflow-wrap:anywhere;display:flex;flex-wrap:wrap;gap:.1rem .9rem;color:var(--dim);font-size:.78rem}
.failure{border:1px solid var(--bad);border-radius:8px;padding:.5rem .8rem}
.failure code{color:var(--bad);font-weight:600}.failure p{white-space:pre-wrap;overflow-wrap:anywhere}

.message>h3{font-size:.8rem;font-weight:600;color:var(--dim);display:flex;flex-wrap:wrap;gap:0 .7rem;margin-bottom:.1rem}.message .badge{white-space:normal}
.message.user{background:var(--tint);border-radius:10px;padding:.55rem .9rem}
.message.user.pending{background:none;border:1px dashed var(--edge)}
.said{white-space:pre-wrap;overflow-wrap:anywhere}
.said,.prose :is(p,li,h4,th,td){unicode-bidi:plaintext}
.retracted>.body,.retracted>summary,.replaced{text-decoration:line-through;opacity:.65}
.prose{overflow-wrap:anywhere}
.prose>*{margin-block:0}.prose>*+*{margin-top:.65rem}
.prose ul,.prose ol{padding-inline-start:1.4rem}.prose li+li{margin-top:.2rem}.prose li>*+*{margin-top:.4rem}
.prose ul:has(>.task){padding-inline-start:0;list-style-position:inside}.prose li.task{list-style:none;padding-inline-start:1.4rem}.prose li.task>input{margin-inline:-1.35rem .5rem;width:.85rem;height:.85rem;vertical-align:-.1em;accent-color:var(--accent)}
.prose h4{font-size:.92rem;color:var(--text)}.prose .depth-1{font-size:1.15rem}.prose .depth-2{font-size:1.05rem}.prose .depth-3{font-size:.98rem}
.prose>*+h4{margin-top:1.1rem}
.prose :not(pre)>code{background:var(--soft);border:1px solid var(--line);border-radius:4px;padding:.05em .3em}
.prose blockquote{margin-inline:0;padding-left:.9rem;border-left:3px solid var(--line);color:var(--dim)}
.prose hr{border:0;border-top:1px solid var(--line)}
.prose .table{overflow-x:auto}
.prose table{border-collapse:collapse;font-size:.9rem;overflow-wrap:break-word}
.prose th,.prose td{border:1px solid var(--line);padding:.3rem .7rem;text-align:start}
.prose th{background:var(--soft);font-weight:600}.prose .right{text-align:right}.prose .center{text-align:center}
.prose.open>:last-child::after{content:'▍';color:var(--accent)}
.footnote{font-size:.85rem;color:var(--dim)}.footnote>*{display:inline}

.code,.diff{border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--soft)}
figcaption{display:flex;align-items:center;gap:.7rem;padding:.2rem .8rem;border-bottom:1px solid var(--line);color:var(--dim);font-size:.78rem;min-height:1.9rem}
figcaption>:first-child{flex:1;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.code pre,.diff pre{overflow:auto;max-height:32rem}.code pre{padding:.6rem .8rem}
.copy{border:0;background:none;color:var(--dim);font-size:.75rem;padding:.1rem .4rem}
.diff pre{padding:.3rem 0}
.diff pre>span{display:block;width:max-content;min-width:100%;padding:0 .8rem 0 0}
.diff i{font-style:normal;display:inline-block;width:2em;text-align:center;color:var(--dim);user-select:none}
.diff .added{background:var(--added)}.diff .removed{background:var(--removed)}.diff .skipped{color:var(--dim)}
.diff pre b{font-weight:400;color:var(--dim)}.diff>p{padding:.4rem .8rem}
.diff .added i{color:var(--good)}.diff .removed i{color:var(--bad)}

.reasoning>summary{display:flex;gap:.5rem;align-items:baseline;list-style:none;font-size:.87rem;color:var(--dim)}
.reasoning>summary::before{content:'▸';font-size:.75em}.reasoning[open]>summary::before{content:'▾'}
.reasoning>summary b{font-weight:600}
.reasoning>summary .first{flex:0 1 auto;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-style:italic}
.reasoning>summary .dim{flex:none}
.reasoning[open]>summary .first{visibility:hidden}
.reasoning.open>summary b{color:var(--accent)}
.reasoning>.body{color:var(--dim);border-left:2px solid var(--line);padding-left:.9rem;margin:.4rem 0 0 .2rem}

.tool,.subagent{border:1px solid var(--line);border-radius:8px;overflow:hidden}
.tool.failed{border-color:color-mix(in srgb,var(--bad) 55%,var(--line))}.tool.asks{border-color:var(--warn)}
.tool>summary,.subagent>summary{display:flex;gap:.7rem;align-items:baseline;padding:.4rem .8rem;background:var(--soft);list-style:none;font-size:.87rem}
.tool[open]>summary,.subagent[open]>summary{border-bottom:1px solid var(--line)}
.tool>summary::before,.subagent>summary::before{content:'▸';color:var(--dim);font-size:.75em}
.tool[open]>summary::before,.subagent[open]>summary::before{content:'▾'}
.about{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--dim)}
.tool>.body{padding:.6rem .8rem .7rem;display:grid;gap:.5rem;grid-template-columns:minmax(0,1fr)}
.tool>.body>:empty{display:none}
.tool[open]>summary .about:not(.repeated),.subagent[open]>summary .about,figcaption>.path.path{white-space:normal;overflow-wrap:anywhere;direction:ltr}
.decision{font-size:.78rem}.time{color:var(--dim);font-size:.78rem;white-space:nowrap}
.subagent{border-left:3px solid light-dark(#8a63d2,#b79cf0)}.subagent>p{padding:0 .8rem .5rem}
.nested{display:grid;gap:.6rem;grid-template-columns:minmax(0,1fr)}.subagent>.nested{padding:.6rem .8rem}
.args{display:grid;grid-template-columns:fit-content(33%) minmax(0,1fr);gap:.3rem .9rem}
.args dt{min-width:4rem;overflow-wrap:anywhere;font-size:.8rem;color:var(--dim);padding-top:.4rem}
.long pre{padding:.5rem .75rem;background:var(--soft);border-radius:6px;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;max-height:32rem}
.long pre.cut{border-bottom:1px dashed var(--edge);border-bottom-left-radius:0;border-bottom-right-radius:0}
.line-window{height:480px;overflow:auto;background:var(--soft);border-radius:6px}
.line-window pre{padding:0 .75rem;line-height:19px;white-space:pre;font-size:13px}
.terminal pre{background:light-dark(#22262e,#0c0e11);color:#e2e5ea;border-radius:6px;padding:.55rem .8rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;max-height:32rem}
.terminal i{font-style:normal;color:#8fd3a8;user-select:none}.terminal .quiet{margin-top:.2rem}.terminal>p{font-size:.85rem;margin-bottom:.3rem}
.label{font-size:.8rem;font-weight:600;margin-bottom:.3rem}.run-end h3{font-size:.8rem}
.result.terminal pre{background:light-dark(#2b303a,#0f1216)}
.todos{overflow-wrap:anywhere;list-style:none;display:grid;gap:.2rem}.todos li{display:flex;gap:.5rem}.todos .completed>span{color:var(--dim);text-decoration:line-through}.todos .in_progress{font-weight:600}
.todos i{color:var(--accent);font-style:normal}
.media{display:flex;flex-wrap:wrap;gap:.6rem;margin-top:.4rem}
.media img{max-width:100%;max-height:24rem;border:1px solid var(--line);border-radius:8px;display:block}
.notice{border-left:3px solid var(--line);padding-left:.8rem;font-size:.87rem;color:var(--dim)}
.notice>summary{list-style:none;overflow-wrap:anywhere}.notice b{font-weight:600}
.notice.warn{border-color:var(--warn)}.notice.warn b{color:var(--warn)}.notice.bad{border-color:var(--bad)}.notice.bad b{color:var(--bad)}
.chip{max-width:100%;overflow-wrap:anywhere;display:inline-flex;align-items:center;gap:.3rem;border:1px solid var(--line);border-radius:1rem;padding:.05rem .65rem;font-size:.8rem}.chip>*{flex:none}

.hljs-keyword,.hljs-built_in,.hljs-type,.hljs-name,.hljs-selector-tag{color:light-dark(#8b2fb3,#d09cf5)}
.hljs-string,.hljs-addition,.hljs-regexp{color:light-dark(#1a6e45,#8fd6ac)}
.hljs-number,.hljs-literal,.hljs-attr,.hljs-attribute,.hljs-property{color:light-dark(#9a4a00,#f0b47a)}
.hljs-comment,.hljs-quote{color:var(--dim);font-style:italic}
.hljs-title,.hljs-section,.hljs-variable,.hljs-params{color:light-dark(#2a4bb8,#a5b9ff)}
.hljs-deletion{color:var(--bad)}.hljs-meta{color:var(--dim)}
#welcome{padding:4.5rem 0 1rem}#welcome h3{font-size:1.4rem;letter-spacing:-.02em;margin-bottom:.3rem}
.examples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:.6rem;margin-top:1.4rem}
.examples button{text-align:left;padding:.7rem .9rem;border-radius:10px}
@media(max-width:46rem){#transcript{padding-inline:.75rem;scrollbar-gutter:auto}.args{display:block}#welcome{padding-top:1.5rem}.tool>.body,.subagent>.nested{padding-inline:.5rem}.reasoning>summary .dim{display:none}
.tool[open]>summary{flex-wrap:wrap}.tool[open]>summary>b{flex:1 1 8rem;min-width:0;overflow-wrap:anywhere}.tool[open]>summary .about{order:1;flex-basis:100%}.tool[open]>summary :is(.repeated,.about:empty){display:none}}
`
