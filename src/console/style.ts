/** The style of the page as a whole: colours, type, layout. It loads no font and no image. */
export const CONSOLE_STYLE = `
:root{color-scheme:light dark;
--page:light-dark(#fff,#14161a);--soft:light-dark(#f6f7f9,#1a1d22);--raised:light-dark(#fff,#20242a);
--line:light-dark(#e3e6ea,#2c313a);--edge:light-dark(#c9ced6,#414853);
--text:light-dark(#1c2024,#e6e8eb);--dim:light-dark(#5b6470,#9ba4b0);
--accent:light-dark(#3655c8,#9db2ff);--on-accent:light-dark(#fff,#12151c);--tint:light-dark(#eef2ff,#1f2740);
--good:light-dark(#1a6e45,#74cf9f);--warn:light-dark(#8a5200,#eab464);--bad:light-dark(#b4281e,#f59a92);
--added:light-dark(#e4f6ea,#16301f);--removed:light-dark(#fdeceb,#3a1d1c);
--mono:ui-monospace,'SF Mono','Cascadia Code',Menlo,Consolas,monospace;
--sans:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
:root[data-theme=light]{color-scheme:light}:root[data-theme=dark]{color-scheme:dark}
*{box-sizing:border-box}[hidden]{display:none!important}
html,body{height:100%}
body{margin:0;background:var(--page);color:var(--text);font:.9375rem/1.55 var(--sans);-webkit-font-smoothing:antialiased}
#sign-in:not([hidden])~#console{display:none}
#console{height:100%}
.page{display:grid;grid:auto minmax(0,1fr)/18rem minmax(0,1fr);height:100dvh}
h1,h2,h3,h4,h5,p,ul,ol,dl,dd,figure{margin:0}ul,ol{padding:0}
header h1{font-size:.95rem;font-weight:650;letter-spacing:-.01em;flex:1;white-space:nowrap}
h2{font-size:1.05rem;font-weight:650;letter-spacing:-.01em}
h3{font-size:.95rem;font-weight:650}h4,h5{font-size:.8rem;font-weight:600}
a{color:var(--accent);text-underline-offset:2px}
.dim{color:var(--dim)}.bad{color:var(--bad)}.good{color:var(--good)}.warn{color:var(--warn)}.live{color:var(--accent)}.info{color:var(--dim)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
code,pre,kbd{font-family:var(--mono);font-size:.8125rem;line-height:1.5}
pre{margin:0}
summary{cursor:pointer}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
::selection{background:light-dark(#cdd8ff,#34458c)}
.badge{display:inline-flex;align-items:center;gap:.4em;font-size:.78rem;font-weight:600;white-space:nowrap}
.badge::before{content:'';width:.5em;height:.5em;border-radius:50%;background:currentColor;flex:none}
.badge.live::before{animation:pulse 1.6s ease-in-out infinite}
@keyframes pulse{50%{opacity:.25}}
@media(prefers-reduced-motion:reduce){*,*::before,*::after{animation:none!important;transition:none!important;scroll-behavior:auto!important}}

header{grid-column:1/-1;display:flex;align-items:center;gap:.9rem;padding:.5rem 1rem;border-bottom:1px solid var(--line);background:var(--soft);min-height:3rem}
header a{font-size:.87rem;text-decoration:none}
#show-threads{display:none}#show-threads b{margin-left:.4rem;padding:0 .45em;border-radius:1rem;background:var(--warn);color:var(--page);font-size:.78rem}
#readiness{position:relative}
#readiness>summary{list-style:none;display:flex;gap:.8rem;padding:.2rem .5rem;border-radius:6px}
#readiness>summary:hover{background:var(--line)}
summary::-webkit-details-marker{display:none}
.panel{position:absolute;right:0;top:calc(100% + .4rem);z-index:5;width:min(34rem,calc(100vw - 2rem));padding:.9rem 1.1rem;background:var(--raised);border:1px solid var(--line);border-radius:10px;box-shadow:0 12px 32px #0003}
.panel dl{display:grid;gap:.45rem;margin-bottom:.6rem;font-size:.87rem}
.panel dl>div{display:grid;grid-template-columns:8rem 1fr;gap:.8rem}
.panel dd{overflow-wrap:anywhere;white-space:pre-line}.panel dt{color:var(--dim)}

nav{border-right:1px solid var(--line);background:var(--soft);padding:.8rem;overflow:auto;display:flex;flex-direction:column;gap:.6rem}
nav>*{flex:none}
#thread-list{list-style:none;display:grid;grid-template-columns:minmax(0,1fr);gap:2px}
#thread-list a{display:block;padding:.5rem .65rem;border-radius:8px;color:inherit;text-decoration:none}
#thread-list a:hover{background:var(--line)}
#thread-list a[aria-current]{background:var(--raised);box-shadow:0 0 0 1px var(--line),inset 3px 0 var(--accent)}
/* The system's colours stand in for shadows and backgrounds, so that the open thread would look like the others. */
@media(forced-colors:active){#thread-list a[aria-current]{border-left:4px solid}}
.name,#thread-name{unicode-bidi:plaintext}.name{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:.9rem;font-weight:500}
nav .facts{display:flex;justify-content:space-between;gap:.5rem;font-size:.78rem;margin-top:.1rem}

main{display:flex;flex-direction:column;min-width:0;min-height:0;position:relative}
.banner{display:flex;align-items:center;gap:1rem;padding:.45rem 1.25rem;background:light-dark(#fff3dc,#362a14);border-bottom:1px solid var(--line);font-size:.9rem}
.banner p{flex:1}.problem{display:block;overflow-wrap:anywhere}#thread>.problem{flex-basis:100%}
#thread{display:flex;flex-wrap:wrap;align-items:center;gap:.1rem .8rem;padding:.65rem 1.25rem .55rem;border-bottom:1px solid var(--line)}
#thread-name{max-width:min(36rem,100%);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
#thread .buttons{margin-left:auto;display:flex;align-items:center;gap:.5rem}
#thread .buttons input{width:11rem}#thread [role=status]{white-space:nowrap}
#thread-facts{flex-basis:100%;font-size:.78rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.menu{position:relative}.menu>summary{list-style:none;padding:.15rem .6rem;border-radius:6px;border:1px solid var(--line);background:var(--raised)}
.menu>.panel{width:13rem;padding:.4rem;display:grid;gap:.2rem}.menu>.panel button{text-align:left;border-color:transparent}
.menu>.panel button:hover{background:var(--soft)}
dialog{overflow-wrap:break-word;background:var(--raised);color:inherit;border:1px solid var(--line);border-radius:12px;padding:1.2rem 1.4rem;box-shadow:0 20px 60px #0005;max-width:min(40rem,calc(100vw - 2rem))}
dialog::backdrop{background:#0006}
dialog.wide-dialog{width:min(60rem,calc(100vw - 2rem));max-width:none;margin-top:8vh;max-height:84vh}
dialog form{margin-top:1rem;text-align:right}
dialog>form[method=dialog]{position:sticky;bottom:-1.2rem;margin:1rem -1.4rem -1.2rem;padding:.6rem 1.4rem 1rem;background:var(--raised)}dialog>button{margin-top:1rem}
.files-head{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center;margin-bottom:.8rem}.files-head h3{flex:1}
.tabs{display:flex}.tabs button{border-radius:0}.tabs button:first-child{border-radius:7px 0 0 7px}.tabs button:last-child{border-radius:0 7px 7px 0;border-left:0}
#console .tabs [aria-pressed=true]{background:var(--tint);font-weight:600}
.files{display:grid;gap:.6rem;grid-template-columns:minmax(0,1fr);min-height:12rem;align-content:start}.files section{display:grid;gap:.4rem;grid-template-columns:minmax(0,1fr);margin-bottom:.6rem}
.changed{border:1px solid var(--line);border-radius:8px;overflow:hidden}.changed>summary{display:flex;gap:.7rem;align-items:baseline;padding:.35rem .8rem;background:var(--soft);list-style:none;font-size:.82rem}
.path{direction:rtl;text-align:left}.changed>summary .about{color:var(--text)}.changed[open]>summary .about{white-space:normal;overflow-wrap:anywhere;direction:ltr}.changed>div{padding:.6rem .8rem}
.crumbs{display:flex;flex-wrap:wrap;align-items:baseline;font-size:.87rem;border:0;background:none;padding:0;gap:.2rem}
.folder{list-style:none}.folder li{display:flex;justify-content:space-between;gap:1rem;border-top:1px solid var(--line);padding:.1rem .2rem;font-size:.82rem}.folder button{text-align:left;overflow-wrap:anywhere}
.keys{display:grid;grid-template-columns:max-content 1fr;gap:.45rem 1.2rem;margin-top:.8rem}
kbd{border:1px solid var(--edge);border-bottom-width:2px;border-radius:4px;padding:0 .35em;font-size:.72rem;color:inherit}
@media(min-width:46.01rem){.narrow{display:none!important}}
@media(max-width:46rem){
#find{order:-1;width:100%!important}#thread .buttons:has(#find:not(.wide)){flex-wrap:wrap;justify-content:flex-end;flex-basis:100%}
.page{grid-template-columns:minmax(0,1fr)}
#show-threads{display:block}.wide{display:none!important}header{flex-wrap:wrap;gap:0 .4rem;padding:.4rem .75rem}#show-threads{white-space:nowrap}header h1{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}#readiness{flex:1 1 0;min-width:min-content}
nav{display:none;grid-row:2;grid-column:1;z-index:2;border-right:0}.list nav{display:flex}.list main{visibility:hidden}main{grid-row:2;grid-column:1}
#thread{padding:.5rem .75rem}#thread-name{font-size:.95rem;max-width:min(50vw,20rem)}.banner{padding-inline:.75rem}
#readiness,.menu{position:static}#readiness>summary>.good:first-child:not(:only-child){display:none}.panel{left:1rem;right:1rem;top:3.2rem;width:auto}.menu>.panel{left:auto;top:2.8rem}
.panel dl>div{grid-template-columns:6rem 1fr}#readiness>summary{flex-wrap:wrap;gap:0 .5rem;padding-inline:.1rem}}
`
