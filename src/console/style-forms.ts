/** The style of questions and of the composer. */
export const FORM_STYLE = `
button,textarea,input,select{font:inherit;color:inherit}
#console button{background:var(--raised);border:1px solid var(--line);border-radius:7px;padding:.28rem .8rem;cursor:pointer;font-size:.87rem}
#console button:hover:not(:disabled){border-color:var(--edge)}
#console button:disabled{opacity:.55;cursor:default}
#console button.primary{background:var(--accent);border-color:transparent;color:var(--on-accent);font-weight:600}
#console button.primary:hover:not(:disabled){filter:brightness(1.08)}
#console button.danger{color:var(--bad)}
#console button.quiet,#console button.copy{border-color:transparent;background:none;color:var(--accent);padding:.15rem .4rem}
#console button.copy{color:var(--dim)}
#console button.quiet:hover{background:var(--soft)}
#console textarea,#console select,#console input:not([type=radio],[type=checkbox]){background:var(--page);border:1px solid var(--line);border-radius:7px;padding:.3rem .65rem;width:100%;font-size:.87rem}
::placeholder{color:var(--dim);opacity:1}
fieldset{min-width:0}fieldset.bare{border:0;padding:0;margin:0}
fieldset:not(.bare){border:1px solid var(--line);border-radius:8px;margin:.4rem 0;padding:.4rem .8rem .7rem}
legend{max-width:100%;font-weight:600;padding:0 .3rem}
#interrupts{padding:.5rem 1.25rem 0;max-height:60%;overflow:auto;flex:none}
.interrupt,#composer>*{max-width:50rem;margin-inline:auto}
.interrupt{overflow-wrap:break-word;border:1px solid var(--warn);border-radius:10px;padding:.8rem 1rem;margin-bottom:.5rem;background:light-dark(#fffbf3,#211c13)}
.interrupt:focus{outline:0;box-shadow:0 0 0 3px color-mix(in srgb,var(--warn) 22%,transparent)}
.interrupt pre{max-height:min(38vh,24rem)!important}.interrupt>h3{margin-bottom:.5rem}
.interrupt details{margin-top:.6rem;font-size:.87rem}.interrupt details textarea{margin-top:.4rem;font:.8125rem/1.5 var(--mono)!important}
.row-of-buttons{display:flex;flex-wrap:wrap;gap:.5rem;margin-top:.7rem;align-items:center}
.row-of-buttons input{flex:1 1 14rem;width:auto!important}
.row-of-buttons kbd{margin-left:.3rem;opacity:.75}.row-of-buttons:not(.keyed) kbd{visibility:hidden}
.choice{display:flex;gap:.6rem;align-items:baseline;padding:.2rem 0}
.choice>span{min-width:0}.choice input[type=checkbox],.choice input[type=radio]{accent-color:var(--accent);flex:none}
#composer{padding:.5rem 1.25rem 1rem;flex:none}
#composer .box{border:1px solid var(--edge);border-radius:12px;background:var(--raised);padding:.5rem .6rem .5rem .7rem}
#composer .box:focus-within{border-color:var(--accent);box-shadow:0 0 0 3px color-mix(in srgb,var(--accent) 18%,transparent)}
#console #prompt{border:0;background:none;resize:none;padding:.2rem .25rem;outline:0;display:block;font-size:.95rem;field-sizing:content;min-height:3.6rem;max-height:40vh;unicode-bidi:plaintext}
#console #prompt[rows='1']{min-height:0}
#composer .tools{display:flex;align-items:center;gap:.6rem}
#send{margin-left:auto;min-width:5rem}
.switches{display:flex;gap:.4rem;min-width:0}
#console #composer .switches>*{width:11rem;min-width:0;border-color:transparent;background:none;color:var(--dim);font-size:.8rem;padding:.15rem .4rem}
#console #composer .switches>*:hover,#console #composer .switches>*:focus{border-color:var(--line)}
#delivery{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.83rem;color:var(--dim)}#delivery input{accent-color:var(--accent)}
.attached{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem;padding:.3rem .2rem}
.queue{font-size:.85rem;color:var(--dim);padding:.1rem .4rem .4rem}.queue ol{padding-left:1.6rem}.queue li{padding:.1rem 0}.queue .words{display:inline-block;max-width:calc(100% - 5rem);overflow:hidden;text-overflow:ellipsis;white-space:nowrap;vertical-align:middle}
.rename{display:grid;gap:.6rem;text-align:left;min-width:min(22rem,70vw)}.rename label{display:grid;gap:.2rem}.rename button{justify-self:end}
@media(max-width:46rem){
#interrupts{padding-inline:.75rem;max-height:70%}.field{display:block}#composer{padding:.4rem .75rem .6rem}
.row-of-buttons button{flex:1 1 auto}.row-of-buttons kbd{display:none}
#composer .tools{flex-wrap:wrap}#composer .switches{flex:1 1 100%;order:-1;min-width:0}#console #composer .switches>*{width:50%;font-size:.8rem!important}#send{min-width:4.5rem}#console textarea,#console input,#console select{font-size:1rem!important}
#delivery label{font-size:0}#delivery input{margin-right:.3rem}#delivery b{font-size:.83rem}}
`
